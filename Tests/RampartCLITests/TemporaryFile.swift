import Glibc
import Monitor

private func temporaryPath() -> String {
    let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    return "\(directory)/rampart-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
}

/// Writes bytes to a new file for the time of the body.
func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    let path = temporaryPath()
    try writeFile(path, bytes)
    defer { unsafe unlink(path) }
    try body(path)
}

/// Makes a new folder for the time of the body.
func withFolder(_ body: (String) throws -> Void) throws {
    let path = temporaryPath()
    try makeFolder(path)
    defer { remove(path) }
    try body(path)
}

private func remove(_ path: String) {
    for name in (try? listFolder(path)) ?? [] {
        let inner = "\(path)/\(name)"
        if isFolder(inner) { remove(inner) } else { unsafe unlink(inner) }
    }
    unsafe rmdir(path)
}
