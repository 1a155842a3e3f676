// How long instructions are, compared with LLVM's disassembler: in 16-, 32- and 64-bit code.

import Foundation
import Testing

@testable import Processor

@Suite("Instructions are as long as another decoder says")
struct DecodeLengthTests {
    static let tools = ["llvm-mc", "llvm-objdump"].allSatisfy {
        ToolRun("/usr/bin/env", [$0, "--version"])?.status == 0
    }

    enum Mode: String, CaseIterable, Sendable {
        case bits16 = "i386-linux-code16"
        case bits32 = "i386-linux-gnu"
        case bits64 = "x86_64-linux-gnu"
        var code: CodeMode {
            switch self {
            case .bits16: .bits16
            case .bits32: .bits32
            case .bits64: .bits64
            }
        }
    }

    /// What LLVM decodes otherwise than AMD's processors do, or not at all, by the first words of its answer.
    static let knownToDiffer: [String] = [
        // Near branches with 66: AMD cuts RIP and takes 16 bits, LLVM reads 32 in 64-bit code as Intel does.
        "jmp", "call", "jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle",
        "jg", "xbegin",
    ]

    @Test(
        "random bytes behind random prefixes, and each opcode with each ModRM",
        .enabled(if: DecodeLengthTests.tools, "needs llvm-mc and llvm-objdump"),
        arguments: DecodeLengthTests.Mode.allCases)
    func lengths(_ mode: Mode) throws {
        let samples = Self.samples(mode)
        let answers = try Self.disassemble(samples, mode)
        #expect(answers.count == samples.count)
        var both = 0
        var onlyHere: [String: Int] = [:]
        var complaints: [String] = []
        for (bytes, answer) in zip(samples, answers) {
            guard case .instruction(let i) = Decoder.decode(Array(bytes.prefix(15)), mode: mode.code) else { continue }
            guard let answer else {
                onlyHere["\(i.mnemonic)", default: 0] += 1
                continue
            }
            if bytes.contains(0x66), Self.knownToDiffer.contains(where: { answer.text.hasPrefix($0) }) { continue }
            both += 1
            if i.length != answer.count {
                let text = bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined(separator: " ")
                complaints.append("\(text): \(i.mnemonic) of \(i.length) bytes, \(answer.text) of \(answer.count)")
            }
        }
        print(
            "\(mode): \(both) of \(samples.count) decoded by both; only here: \(onlyHere.sorted { $0.value > $1.value }.prefix(40))"
        )
        #expect(both > samples.count / 4)
        let summary = "\(complaints.count) differ:\n" + complaints.prefix(30).joined(separator: "\n")
        let agrees = complaints.isEmpty
        #expect(agrees, Comment(rawValue: summary))
    }

    /// Streams of 16 bytes, of which the first instruction counts.
    static func samples(_ mode: Mode) -> [[UInt8]] {
        var random = TestRandom(UInt64(mode.code.rawValue) + 77)
        var result: [[UInt8]] = []
        func tail(_ head: [UInt8]) -> [UInt8] {
            head + (head.count..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        }
        // Each opcode of each map, with each register field and kind of ModRM.
        for map in [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as [[UInt8]] {
            for opcode in 0...255 as ClosedRange<UInt8> {
                for kind in [0x00, 0x04, 0x05, 0x44, 0x86, 0xc3] as [UInt8] {
                    let prefix =
                        ([[], [], [], [0x66], [0xf3], [0xf2], [0x67]] as [[UInt8]]).randomElement(using: &random) ?? []
                    let field = UInt8.random(in: 0...7, using: &random)
                    result.append(tail(prefix + map + [opcode, kind | field << 3]))
                }
            }
        }
        for _ in 0..<6000 {
            var head: [UInt8] = []
            for group in [[0x66], [0x67], [0xf2, 0xf3], [0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65]] as [[UInt8]]
            where UInt8.random(in: 0...3, using: &random) == 0 {
                head.append(group.randomElement(using: &random) ?? 0x66)
            }
            if mode == .bits64, Bool.random(using: &random) {
                head.append(UInt8.random(in: 0x40...0x4f, using: &random))
            }
            if Bool.random(using: &random) { head.append(0x0f) }
            result.append(tail(head))
        }
        return result
    }

    struct Answer { var count: Int, text: String }

    /// What LLVM makes of the first instruction of each stream; nil if it knows none.
    static func disassemble(_ samples: [[UInt8]], _ mode: Mode) throws -> [Answer?] {
        let base = NSTemporaryDirectory() + "/lengths-\(UUID().uuidString)"
        defer { for end in [".s", ".o"] { try? FileManager.default.removeItem(atPath: base + end) } }
        var source = ".text\n"
        for (number, bytes) in samples.enumerated() {
            source += "L\(number): .byte " + bytes.map { "\($0)" }.joined(separator: ",") + "\n"
        }
        try source.write(toFile: base + ".s", atomically: true, encoding: .utf8)
        let made = ToolRun(
            "/usr/bin/env", ["llvm-mc", "-triple=\(mode.rawValue)", "-filetype=obj", base + ".s", "-o", base + ".o"])
        try #require(made?.status == 0)
        let listed = ToolRun("/usr/bin/env", ["llvm-objdump", "-d", "--triple=\(mode.rawValue)", base + ".o"])
        let listing = try #require(listed?.status == 0 ? listed : nil)
        var result: [Answer?] = []
        var isFirst = false
        var pending = 0
        for line in String(decoding: listing.output, as: UTF8.self).split(separator: "\n") {
            if line.hasSuffix(">:") {
                isFirst = true
                pending = 0
                continue
            }
            guard isFirst, let colon = line.firstIndex(of: ":") else { continue }
            let parts = line[line.index(after: colon)...].split(separator: "\t", omittingEmptySubsequences: true)
            guard let bytes = parts.first?.split(separator: " "), !bytes.isEmpty,
                bytes.allSatisfy({ $0.count == 2 })
            else { continue }
            let text = parts.dropFirst().joined(separator: " ").trimmingCharacters(in: .whitespaces)
            // A prefix that LLVM shows by itself belongs to what follows.
            if !text.isEmpty, text.split(separator: " ").allSatisfy({ Self.prefixes.contains(String($0)) }) {
                pending += bytes.count
                continue
            }
            isFirst = false
            result.append(text.hasPrefix("<unknown>") ? nil : Answer(count: pending + bytes.count, text: text))
        }
        return result
    }

    private static let prefixes: Set<String> = [
        "data16", "data32", "addr16", "addr32", "lock", "rep", "repne", "cs", "ds", "es", "ss", "fs", "gs", "repz",
        "repnz", "repe", "rex64", "xacquire", "xrelease",
    ]
}

/// A tool's output.
struct ToolRun {
    var status: Int32
    var output: Data

    init?(_ path: String, _ arguments: [String]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        status = process.terminationStatus
    }
}
