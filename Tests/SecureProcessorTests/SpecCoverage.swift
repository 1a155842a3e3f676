// Which rows of the tables under Spec/ the tests have hit, for Scripts/spec-coverage. Silent unless RAMPART_SPEC_COVERAGE
// names a file to append to. Other test targets link to this file.

import Foundation
import Synchronization

enum SpecCoverage {
    private static let path = ProcessInfo.processInfo.environment["RAMPART_SPEC_COVERAGE"]
    private static let hits = Mutex<[String: Int]>([:])
    /// Once, before the first hit: what was hit is written when the tests end.
    private static let writesAtExit: Void = {
        atexit { SpecCoverage.write() }
    }()

    /// Notes that a test saw a row's acceptance or its refusal.
    static func hit(_ table: String, _ row: [String], accepted: Bool) {
        guard path != nil else { return }
        _ = writesAtExit
        let key = ([table, accepted ? "accept" : "refuse"] + row).joined(separator: "\t")
        hits.withLock { $0[key, default: 0] += 1 }
    }

    private static func write() {
        guard let path else { return }
        let text = hits.withLock { $0.map { "\($0.value)\t\($0.key)\n" }.joined() }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let file = FileHandle(forWritingAtPath: path) else { return }
        file.seekToEndOfFile()
        file.write(Data(text.utf8))
        file.closeFile()
    }
}
