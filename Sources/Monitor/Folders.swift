// Folders: listing one, making one, and taking a file out of one. Failures are said as those of files are.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The names in a folder, sorted, without "." and "..".
///
/// - Throws: the system's refusal to open it
public func listFolder(_ path: String) throws(FileError) -> [String] {
    guard let folder = unsafe opendir(path) else {
        throw FileError(path: path, problem: .system(operation: "open", errno: errno))
    }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
        // SAFETY: the entry is valid until the next call, and its name ends with a zero byte.
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
            unsafe field.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { unsafe String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Whether a folder is at the path.
public func isFolder(_ path: String) -> Bool {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return false }
    return status.st_mode & S_IFMT == S_IFDIR
}

/// Makes a folder, and those above it, unless they are there.
///
/// - Throws: the system's refusal
public func makeFolder(_ path: String) throws(FileError) {
    if isFolder(path) { return }
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    if !parent.isEmpty, parent != path { try makeFolder(parent) }
    guard unsafe mkdir(path, 0o755) == 0 || errno == EEXIST else {
        throw FileError(path: path, problem: .system(operation: "make the folder", errno: errno))
    }
}

/// Takes a file away; false if there is none.
///
/// - Throws: the system's refusal
@discardableResult
public func removeFile(_ path: String) throws(FileError) -> Bool {
    if unsafe unlink(path) == 0 { return true }
    guard errno == ENOENT else { throw FileError(path: path, problem: .system(operation: "remove", errno: errno)) }
    return false
}
