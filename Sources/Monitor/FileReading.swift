// Reads whole files with the system's own calls. Every failure names the file, what was tried and what to do.

import CPlatform

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a file could not be read or written.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was wrong.
    public enum Problem: Hashable, Sendable {
        /// The system refused, with an errno.
        case system(operation: String, errno: Int32)
        /// The path names a directory.
        case directory
        /// The file has more bytes than the limit.
        case tooLarge(limit: Int)
    }
    /// The path as it was given.
    public var path: String
    /// What was wrong.
    public var problem: Problem

    /// Makes an error.
    public init(path: String, problem: Problem) {
        self.path = path
        self.problem = problem
    }

    /// One line for the user.
    public var description: String {
        switch problem {
        case .system(let operation, let errno):
            let reason = unsafe String(cString: strerror(errno))
            return "\(path): cannot \(operation): \(reason). \(Self.remedy(errno))"
        case .directory:
            return "\(path): is a directory. Name a file."
        case .tooLarge(let limit):
            return "\(path): has more than \(limit) bytes, the most that is read. Name the right file."
        }
    }

    private static func remedy(_ errno: Int32) -> String {
        switch errno {
        case ENOENT, ENOTDIR: "Check the path."
        case EACCES, EPERM: "Check the permissions."
        case ENOSPC, EDQUOT: "Make room."
        case EMFILE, ENFILE: "Raise the limit of open files."
        default: "Check the file and the device it is on."
        }
    }
}

/// A file opened for reading, closed at the end of its life.
@safe struct FileReading: ~Copyable {
    private let path: String
    private let descriptor: Int32
    /// The size of a regular file; nil for a pipe or a device.
    let byteCount: Int?

    /// Opens a file.
    ///
    /// - Throws: in check order: the system's refusal to open or inspect it, `.directory`
    init(path: String) throws(FileError) {
        self.path = path
        let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw FileError(path: path, problem: .system(operation: "open", errno: errno)) }
        var status = stat()
        let failed = unsafe fstat(opened, &status) != 0
        let reason = errno
        let kind = status.st_mode & S_IFMT
        if failed || kind == S_IFDIR {
            close(opened)
            throw FileError(path: path, problem: failed ? .system(operation: "inspect", errno: reason) : .directory)
        }
        descriptor = opened
        byteCount = kind == S_IFREG ? Int(status.st_size) : nil
    }

    deinit { close(descriptor) }

    /// Reads up to `capacity` bytes; an empty result is the end of the file.
    func nextBytes(upTo capacity: Int) throws(FileError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            // A large buffer is fresh memory: one call for all its pages is cheaper than a fault for each.
            if capacity >= 1 << 18 { unsafe cp_populate(buffer.baseAddress, capacity) }
            while true {
                // SAFETY: the buffer has room for `capacity` bytes and the call writes at most as many.
                let result = unsafe read(descriptor, buffer.baseAddress, capacity)
                if result >= 0 {
                    count = result
                    return
                }
                if errno == EINTR { continue }
                failure = errno
                return
            }
        }
        guard failure == 0 else { throw FileError(path: path, problem: .system(operation: "read", errno: failure)) }
        return bytes
    }

    /// Gives all bytes to `body`, in pieces of up to 1 MiB.
    ///
    /// - Throws: in check order: `.tooLarge`, by the size of a regular file or while reading; the system's refusal
    func forEachPiece(limit: Int, _ body: ([UInt8]) -> Void) throws(FileError) {
        if let byteCount, byteCount > limit { throw FileError(path: path, problem: .tooLarge(limit: limit)) }
        var total = 0
        while true {
            let piece = try nextBytes(upTo: min(byteCount.map { max($0 - total, 1) } ?? .max, 1 << 20))
            if piece.isEmpty { return }
            total += piece.count
            guard total <= limit else { throw FileError(path: path, problem: .tooLarge(limit: limit)) }
            body(piece)
        }
    }
}

/// Reads a whole file.
///
/// - Throws: in check order: the system's refusal to open or inspect it, `.directory`, `.tooLarge`, the refusal to read
public func readFile(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let file = try FileReading(path: path)
    if let byteCount = file.byteCount, byteCount <= limit {
        // One call reads a regular file; if it is still growing or shrinking, the loop below settles it.
        let bytes = try file.nextBytes(upTo: byteCount + 1)
        if bytes.count == byteCount, try file.nextBytes(upTo: 1).isEmpty { return bytes }
        let again = try FileReading(path: path)
        return try collect(again, limit: limit)
    }
    return try collect(file, limit: limit)
}

private func collect(_ file: borrowing FileReading, limit: Int) throws(FileError) -> [UInt8] {
    var bytes: [UInt8] = []
    try file.forEachPiece(limit: limit) { bytes += $0 }
    return bytes
}

/// Creates or replaces a file.
public func writeFile(_ path: String, _ bytes: [UInt8]) throws(FileError) {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileError(path: path, problem: .system(operation: "create", errno: errno)) }
    var failure: Int32 = 0
    var rest = bytes[...]
    while !rest.isEmpty && failure == 0 {
        // SAFETY: the call reads at most the buffer's own bytes.
        let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        if count >= 0 { rest = rest.dropFirst(count) } else if errno != EINTR { failure = errno }
    }
    if close(descriptor) != 0 && failure == 0 { failure = errno }
    guard failure == 0 else { throw FileError(path: path, problem: .system(operation: "write", errno: failure)) }
}
