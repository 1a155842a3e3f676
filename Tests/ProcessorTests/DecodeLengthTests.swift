// How long instructions are, compared with LLVM's disassembler: in 16-, 32- and 64-bit code.

import Foundation
import Testing

@testable import Processor

@Suite("Instructions are as long as another decoder says")
struct DecodeLengthTests {
    /// What LLVM decodes otherwise than AMD's processors do, or not at all, by the first words of its answer.
    static let knownToDiffer: [String] = [
        // Near branches with 66: AMD cuts RIP and takes 16 bits, LLVM reads 32 in 64-bit code as Intel does.
        "jmp", "call", "jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle",
        "jg", "xbegin",
    ]

    @Test(
        "random bytes behind random prefixes, and each opcode with each ModRM",
        .enabled(if: LLVMListing.isInstalled, "needs llvm-mc and llvm-objdump"),
        arguments: CodeSize.allCases)
    func lengths(_ mode: CodeSize) throws {
        let samples = Self.samples(mode)
        let answers = try LLVMListing.disassemble(samples, mode)
        #expect(answers.count == samples.count)
        var both = 0
        var onlyHere: [String: Int] = [:]
        var complaints: [String] = []
        for (bytes, answer) in zip(samples, answers) {
            guard case .instruction(let i) = Decoder.decode(Array(bytes.prefix(15)), mode: mode.mode) else { continue }
            guard let answer else {
                onlyHere["\(i.mnemonic)", default: 0] += 1
                continue
            }
            let name = answer.text.split(separator: " ").first { !LLVMListing.prefixes.contains(String($0)) } ?? ""
            if bytes.contains(0x66), Self.knownToDiffer.contains(where: { name.hasPrefix($0) }) { continue }
            if mode == .bits64, Self.hasLostREX(bytes) { continue }
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

    /// Whether a REX prefix stands before another prefix: it counts for nothing, and LLVM lets it count all the same.
    private static func hasLostREX(_ bytes: [UInt8]) -> Bool {
        let legacy: Set<UInt8> = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65]
        let prefixes = bytes.prefix { legacy.contains($0) || 0x40...0x4f ~= $0 }
        return zip(prefixes, prefixes.dropFirst()).contains { 0x40...0x4f ~= $0 && legacy.contains($1) }
    }

    /// Streams of 16 bytes, of which the first instruction counts.
    static func samples(_ mode: CodeSize) -> [[UInt8]] {
        var random = TestRandom(UInt64(mode.mode.rawValue) + 77)
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
