// A report and certificates that AMD hardware made, spoilt and judged by command. They are not part of the repository.

import Monitor
import Testing

@testable import RampartCLI

/// Reads the real files, and lays them out in a folder of their own.
enum RealReport {
    static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/../shared/data/attestation"
    }()
    static var isPresent: Bool { isFolder(folder) }
    static let absence: Comment = "the folder ../shared/data/attestation with real reports and certificates is absent"
    /// A moment at which the certificates hold.
    static let date = "2026-06-01"

    static func bytes(_ name: String) throws -> [UInt8] { try readFile("\(folder)/\(name)", limit: 1 << 20) }

    /// The report's 1184 bytes.
    static func report() throws -> [UInt8] {
        let text = String(decoding: try bytes("milan-report.hex"), as: UTF8.self).filter { $0.isHexDigit }
        let found = RampartCLI.bytes(hexadecimal: text)
        return try #require(found)
    }

    /// The files of a good folder, by name.
    static func files() throws -> [String: [UInt8]] {
        [
            "report.bin": try report(), "ark.pem": try bytes("milan-ark.pem"), "ask.pem": try bytes("milan-ask.pem"),
            "vcek.der": try bytes("milan-vcek.der"),
        ]
    }

    /// Judges what is left of the files after a change.
    static func judge(
        _ options: [String] = [], _ change: (inout [String: [UInt8]]) throws -> Void = { _ in }
    ) throws -> CommandOutcome {
        var files = try files()
        try change(&files)
        var outcome = CommandOutcome()
        try withFolder { folder in
            for (name, contents) in files { try writeFile("\(folder)/\(name)", contents) }
            let options = options.map { $0.hasPrefix("@") ? "\(folder)/\($0.dropFirst())" : $0 }
            outcome = RampartCommand.execute(
                ["report", "verify", "\(folder)/report.bin", "--certs", folder]
                    + (options.contains("--at") ? [] : ["--at", date]) + options)
        }
        return outcome
    }
}
