// The table by which measured firmware checks the kernel, initial RAM disk and command line that a VMM hands to it.

import Crypto

/// The SHA-256 hashes of what a guest boots directly.
///
/// - Spec: OVMF, SEV hash table; QEMU's direct boot with kernel-hashes=on
public struct KernelHashes: Hashable, Sendable {
    /// The most bytes of a kernel or an initial RAM disk that are read: neither may reach 4 GiB.
    public static let maximumFileByteCount = 4 << 30

    /// The hash of the kernel file.
    public let kernel: [UInt8]
    /// The hash of the initial RAM disk; that of no bytes if there is none.
    public let initrd: [UInt8]
    /// The hash of the command line with its final NUL.
    public let commandLine: [UInt8]

    /// Hashes files.
    ///
    /// - Throws: in check order: what is wrong with the kernel, then with the initial RAM disk
    public init(kernelPath: String, initrdPath: String?, commandLine: String?) throws(FileError) {
        kernel = try Self.hash(path: kernelPath)
        initrd = if let initrdPath { try Self.hash(path: initrdPath) } else { Self.hash([]) }
        self.commandLine = Self.hash(Array((commandLine ?? "").utf8) + [0])
    }

    /// Hashes bytes that are already in memory.
    public init(kernel: [UInt8], initrd: [UInt8] = [], commandLine: String = "") {
        self.kernel = Self.hash(kernel)
        self.initrd = Self.hash(initrd)
        self.commandLine = Self.hash(Array(commandLine.utf8) + [0])
    }

    /// The number of bytes in the table, padding included.
    public static let tableByteCount = 176

    /// The table: header, command line, initial RAM disk, kernel, padded to a multiple of 16.
    public var table: [UInt8] {
        let entries: [(GUID, [UInt8])] = [
            (.commandLineHash, commandLine), (.initrdHash, initrd), (.kernelHash, kernel),
        ]
        var table = GUID.kernelHashes.bytes + [168, 0]
        for (guid, hash) in entries { table += guid.bytes + [50, 0] + hash }
        return table + [UInt8](repeating: 0, count: Self.tableByteCount - table.count)
    }

    /// A page with the table at an offset and zeros around it; nil if the table does not fit.
    public func page(offset: Int) -> [UInt8]? {
        guard offset >= 0, offset <= 4096 - Self.tableByteCount else { return nil }
        var page = [UInt8](repeating: 0, count: 4096)
        page.replaceSubrange(offset..<(offset + Self.tableByteCount), with: table)
        return page
    }

    private static func hash(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    private static func hash(path: String) throws(FileError) -> [UInt8] {
        var hasher = SHA256()
        try FileReading(path: path).forEachPiece(limit: maximumFileByteCount) { hasher.update(data: $0) }
        return Array(hasher.finalize())
    }
}
