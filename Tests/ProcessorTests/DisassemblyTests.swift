// The disassembler against LLVM's: every form of the opcode table with random operands, and the code of compiled programs.

import Foundation
import Testing

@testable import Processor

@Suite("Disassembly")
struct DisassemblyTests {
    @Test("instructions read as Intel writes them")
    func examples() {
        for (bytes, text) in [
            ([0xf2, 0x0f, 0x01, 0xff], "pvalidate"), ([0xf3, 0x0f, 0x01, 0xd9], "vmgexit"), ([0x0f, 0x0b], "ud2"),
            ([0x48, 0x8b, 0x05, 0x10, 0, 0, 0], "mov rax, qword ptr [rip + 0x10]"),
            ([0xf3, 0xaa], "rep stosb byte ptr es:[rdi], al"),
            ([0x65, 0x8a, 0x44, 0xcb, 0xf8], "mov al, byte ptr gs:[rbx + 8*rcx - 8]"),
            ([0xf0, 0x48, 0x0f, 0xb1, 0x0f], "lock cmpxchg qword ptr [rdi], rcx"), ([0x75, 0xfe], "jne 0x1000"),
            ([0xf3, 0x90], "pause"), ([0x66, 0x0f, 0x6f, 0xc1], "movdqa xmm0, xmm1"),
        ] as [([UInt8], String)] {
            #expect(disassemble(bytes, at: 0x1000, .bits64)?.text == text)
        }
    }

    @Test("bytes that end inside an instruction give none, and what is no instruction is one unknown place")
    func incomplete() {
        #expect(disassemble([0x48], at: 0, .bits64) == nil)
        #expect(disassemble([], at: 0, .bits64) == nil)
        #expect(disassemble([0x06], at: 0, .bits64)?.isKnown == false)
        #expect(disassembleAll([0x90, 0x90, 0x06, 0x90], at: 0, .bits64).count == 3)
    }

    @Test("no bytes stop the process", arguments: CodeSize.allCases)
    func hostileBytes(_ size: CodeSize) {
        var random = TestRandom(7)
        for _ in 0..<20_000 {
            let bytes = (0..<15).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            _ = disassembleAll(bytes, at: UInt64.random(in: .min ... .max, using: &random), size)
        }
    }

    @Test(
        "every form of the table reads as LLVM writes it",
        .disabled("not passed yet: llvm-mc splits some of the samples, so that its lines cannot be told apart"),
        .enabled(if: LLVMDisassembler.isInstalled, "llvm-mc is not installed"))
    func forms() throws {
        var samples: [[UInt8]] = []
        for form in EncodedForm.all where form.form.mode != .not64 {
            for width in [Width.word, .double, .quad] {
                for memory in [false, true] {
                    var random = TestRandom(UInt64(form.index * 8 + Int(width.rawValue) * 2 + (memory ? 1 : 0) + 1))
                    guard let bytes = form.encode(memory: memory, width: width, &random) else { continue }
                    let all = bytes + Self.tail(form, width)
                    guard case .instruction(let i) = Decoder.decode(all, mode: .bits64), i.form == form.form.line else {
                        continue
                    }
                    samples.append(Array(all.prefix(i.length)))
                }
            }
        }
        #expect(samples.count > 1500)
        try compare(samples)
    }

    /// Branch distances and offsets, which `encode` leaves out.
    private static func tail(_ form: EncodedForm, _ width: Width) -> [UInt8] {
        for index in 0..<4 {
            switch form.form.operand(index) {
            case .jb: return [0x12]
            case .jz: return [0x34, 0x12, 0, 0]
            case .ob, .ov: return [0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0]
            default: continue
            }
        }
        return []
    }

    @Test(
        "compiled programs read as LLVM writes them",
        .disabled("not passed yet: x87 operands of 80 bits are called dword, overrides with cs and ds are left out"),
        .enabled(if: LLVMDisassembler.isInstalled, "llvm-mc is not installed"),
        .enabled(if: !CompiledVariant.all.isEmpty, "there is no gcc and no clang"))
    func programs() throws {
        for variant in CompiledVariant.all {
            let image = try variant.guestImage()
            var samples: Set<[UInt8]> = []
            for segment in image.segments
            where segment.address <= image.entry
                && image.entry < segment.address + UInt64(segment.bytes.count)
            {
                for instruction in disassembleAll(segment.bytes, at: segment.address, .bits64) where instruction.isKnown
                {
                    samples.insert(instruction.bytes)
                }
            }
            #expect(samples.count > 300, "\(variant)")
            try compare(samples.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    /// Compares instruction by instruction, and tells of the first differences.
    private func compare(_ samples: [[UInt8]]) throws {
        let theirs = try LLVMDisassembler.disassemble(samples)
        var differences: [String] = []
        var compared = 0
        for (bytes, text) in zip(samples, theirs) {
            guard let text else { continue }
            compared += 1
            guard let ours = disassemble(bytes, at: 0 &- UInt64(bytes.count), .bits64) else {
                differences.append("\(hex(bytes)): nothing, not \(text)")
                continue
            }
            if !IntelSpelling.isSame(ours.text, text) { differences.append("\(hex(bytes)): \(ours.text) | \(text)") }
        }
        // What LLVM does not know is not compared; that must stay the exception.
        #expect(compared * 100 > samples.count * 95, "\(compared) of \(samples.count) compared")
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(60).joined(separator: "\n"))")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}

/// llvm-mc, where it is installed.
enum LLVMDisassembler {
    private static let path = ["/usr/bin/llvm-mc", "/usr/local/bin/llvm-mc"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    static var isInstalled: Bool { path != nil }

    struct Failure: Error {}

    /// The text of each instruction; nil where LLVM knows none, or sees more than one.
    static func disassemble(_ samples: [[UInt8]]) throws -> [String?] {
        guard let path else { throw Failure() }
        // A mark between instructions: a NOP that no sample is.
        let mark: [UInt8] = [0x66, 0x66, 0x66, 0x0f, 0x1f, 0x84, 0, 0x21, 0x43, 0x65, 0x07]
        var input = ""
        for bytes in samples {
            for line in [bytes, mark] {
                input += line.map { "0x" + String($0, radix: 16) }.joined(separator: " ") + "\n"
            }
        }
        let folder = FileManager.default.temporaryDirectory
        let file = folder.appendingPathComponent("rampart-\(UUID().uuidString).txt")
        try input.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = [
            "--disassemble", "--triple=x86_64", "--mattr=+snp,+crc32", "--output-asm-variant=1", file.path,
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        var result: [String?] = []
        var current: [String] = []
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where !line.contains(".text") {
            if line.contains("124076833") {
                result.append(current.count == 1 ? current[0] : nil)
                current = []
            } else if !["data16", "rex64"].contains(line.trimmingCharacters(in: .whitespaces)) {
                current.append(String(line.prefix { $0 != "#" }))
            }
        }
        guard result.count == samples.count else { throw Failure() }
        return result
    }
}

/// What may differ between two ways to write the same instruction: space, the base of numbers, and a few old spellings.
enum IntelSpelling {
    static func isSame(_ ours: String, _ theirs: String) -> Bool {
        let (a, b) = (tokens(ours), tokens(theirs))
        guard a.count == b.count else { return false }
        return zip(a, b).allSatisfy { same($0, $1) }
    }

    /// Numbers are the same if they are in one of the widths that an operand may have.
    private static func same(_ a: String, _ b: String) -> Bool {
        if a == b { return true }
        guard let x = number(a), let y = number(b) else { return false }
        return x == y
            || [8, 16, 32].contains { width in
                let mask: UInt64 = 1 << width - 1
                // Only if one of the two is the other's sign-extended or cut form.
                return x & mask == y & mask && [x, y].contains { $0 <= mask }
                    && [x, y].contains { $0 > mask || $0 >> (width - 1) == 1 }
            }
    }

    private static func number(_ text: String) -> UInt64? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        return value.map { isNegative ? 0 &- $0 : $0 }
    }

    private static func tokens(_ text: String) -> [String] {
        var result: [String] = []
        var current = ""
        func flush() {
            if !current.isEmpty { result.append(current) }
            current = ""
        }
        for character in text.lowercased() {
            switch character {
            case " ", "\t": flush()
            case "-":
                flush()
                // A sign, unless it stands between two terms of an address.
                let isTerm = result.last.map { $0 != "," && $0 != "[" && $0 != "]" && number($0) == nil } ?? false
                if isTerm, result.contains("["), !result.contains("]") { result.append("-") } else { current = "-" }
            case ",", "[", "]", "+", "*", ":":
                flush()
                result.append(String(character))
            default: current.append(character)
            }
        }
        flush()
        return spelled(result)
    }

    private static func spelled(_ tokens: [String]) -> [String] {
        let names = [
            "movabs": "mov", "repe": "rep", "int": "int", "sal": "shl", "fwait": "wait", "iretd": "iret",
            "iret": "iret",
        ]
        var result = tokens.map { names[$0] ?? $0 }
        let shifts = ["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"]
        if let name = result.first, shifts.contains(name), result.suffix(2) == [",", "1"] { result.removeLast(2) }
        // XCHG and TEST have no order.
        if let name = result.first(where: { $0 != "lock" }), ["xchg", "test"].contains(name),
            let comma = result.firstIndex(of: ","), let start = result.firstIndex(of: name)
        {
            let (left, right) = (Array(result[(start + 1)..<comma]), Array(result[(comma + 1)...]))
            let sorted = [left, right].sorted { $0.joined() < $1.joined() }
            result = Array(result[...start]) + sorted[0] + [","] + sorted[1]
        }
        return result
    }
}
