// The record of which forms are compared with hardware and which are #UD here: Spec/x86-compared.tsv, from which
// Scripts/instruction-coverage makes a table.

import Foundation

/// What the tests know of the forms of the opcode map.
struct FormRecord {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Spec")
    private static let file = folder.appendingPathComponent("x86-compared.tsv")

    /// The lines of the opcode map, without comments, by number.
    static let forms: [Int: String] = {
        guard let text = try? String(contentsOf: folder.appendingPathComponent("x86-opcodes.txt"), encoding: .utf8)
        else {
            return [:]
        }
        var result: [Int: String] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" && $0 != ";" }.split(separator: " ")
            if !words.isEmpty { result[index + 1] = words.joined(separator: " ") }
        }
        return result
    }()

    /// Whether the record is to be made, not checked.
    static let isRecording = ProcessInfo.processInfo.environment["RAMPART_RECORD_FORMS"] != nil

    /// The forms under a word, as recorded.
    static func recorded(_ word: String) -> Set<String> {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return Set(
            text.split(separator: "\n").compactMap { line in
                let parts = line.split(separator: "\t")
                return parts.count == 2 && parts[0] == word ? String(parts[1]) : nil
            })
    }

    /// Replaces what is recorded under a word.
    static func record(_ word: String, _ lines: Set<Int>) throws {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        var kept = text.split(separator: "\n").map(String.init).filter {
            !$0.hasPrefix(word + "\t") && !$0.hasPrefix("#")
        }
        kept += lines.compactMap { forms[$0].map { "\(word)\t\($0)" } }
        let head = "# Written by the tests with RAMPART_RECORD_FORMS=1: see Scripts/instruction-coverage.\n"
        try (head + kept.sorted().joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
    }

    static func text(_ lines: Set<Int>) -> Set<String> { Set(lines.compactMap { forms[$0] }) }
}
