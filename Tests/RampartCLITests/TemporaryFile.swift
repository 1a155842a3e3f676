import Glibc
import Monitor

/// Writes bytes to a new file for the time of the body.
func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    let directory = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    let path = "\(directory)/rampart-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    try writeFile(path, bytes)
    defer { unsafe unlink(path) }
    try body(path)
}
