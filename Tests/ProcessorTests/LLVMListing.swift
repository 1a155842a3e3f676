// LLVM's disassembler, where it is installed: lengths and text of single instructions.

import Foundation
import Testing

@testable import Processor

/// What LLVM makes of samples of machine code. Each has a label of its own, so that none runs into the next.
enum LLVMListing {
    static let isInstalled = ["llvm-mc", "llvm-objdump"].allSatisfy {
        ToolRun("/usr/bin/env", [$0, "--version"])?.status == 0
    }

    struct Answer {
        /// Where the sample was, which branches and addresses relative to RIP are shown by.
        var address: UInt64
        /// Bytes, with those of prefixes that LLVM shows by themselves.
        var count: Int
        /// The instruction in Intel's syntax, without such prefixes and remarks.
        var text: String
    }

    /// The first instruction of each sample; nil if LLVM knows none.
    static func disassemble(_ samples: [[UInt8]], _ mode: CodeSize) throws -> [Answer?] {
        let base = NSTemporaryDirectory() + "/listing-\(UUID().uuidString)"
        defer { for end in [".s", ".o"] { try? FileManager.default.removeItem(atPath: base + end) } }
        var source = ".text\n"
        for (number, bytes) in samples.enumerated() {
            source += "L\(number): .byte " + bytes.map { "\($0)" }.joined(separator: ",") + "\n"
        }
        try source.write(toFile: base + ".s", atomically: true, encoding: .utf8)
        let triple =
            switch mode {
            case .bits16: "i386-linux-code16"
            case .bits32: "i386-linux-gnu"
            case .bits64: "x86_64-linux-gnu"
            }
        let made = ToolRun(
            "/usr/bin/env", ["llvm-mc", "-triple=\(triple)", "-filetype=obj", base + ".s", "-o", base + ".o"])
        try #require(made?.status == 0)
        let listed = ToolRun(
            "/usr/bin/env",
            ["llvm-objdump", "-d", "-M", "intel", "--mattr=+snp,+crc32", "--triple=\(triple)", base + ".o"])
        let listing = try #require(listed?.status == 0 ? listed : nil)
        var result: [Answer?] = []
        var isFirst = false
        var address: UInt64?
        var pending = 0
        for line in String(decoding: listing.output, as: UTF8.self).split(separator: "\n") {
            if line.hasSuffix(">:") {
                isFirst = true
                address = UInt64(line.prefix { $0 != " " }, radix: 16)
                pending = 0
                continue
            }
            guard isFirst, let address, let colon = line.firstIndex(of: ":") else { continue }
            let parts = line[line.index(after: colon)...].split(separator: "\t", omittingEmptySubsequences: true)
            guard let bytes = parts.first?.split(separator: " "), !bytes.isEmpty,
                bytes.allSatisfy({ $0.count == 2 })
            else { continue }
            let text = parts.dropFirst().joined(separator: " ").trimmingCharacters(in: .whitespaces)
            // A prefix that LLVM shows by itself belongs to what follows.
            if !text.isEmpty, text.split(separator: " ").allSatisfy({ Self.prefixes.contains(String($0)) }) {
                pending += bytes.count
                // With XACQUIRE or XRELEASE it swallows 66 and 67, and reads what follows without them: no answer.
                let hasSize = bytes.contains("66") || bytes.contains("67")
                if hasSize, text.hasPrefix("xacquire") || text.hasPrefix("xrelease") {
                    isFirst = false
                    result.append(nil)
                }
                continue
            }
            isFirst = false
            result.append(
                text.hasPrefix("<unknown>")
                    ? nil : Answer(address: address, count: pending + bytes.count, text: withoutRemark(text)))
        }
        return result
    }

    /// Behind # stands an address in full, between < and > the label before it.
    private static func withoutRemark(_ text: String) -> String {
        String(text.prefix { $0 != "#" && $0 != "<" }).trimmingCharacters(in: .whitespaces)
    }

    /// Prefixes as LLVM shows them by themselves.
    static let prefixes: Set<String> = [
        "data16", "data32", "addr16", "addr32", "lock", "rep", "repne", "cs", "ds", "es", "ss", "fs", "gs", "repz",
        "repnz", "repe", "rex64", "xacquire", "xrelease",
    ]
}
