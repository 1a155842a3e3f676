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
        .enabled(if: LLVMListing.isInstalled, "needs llvm-mc and llvm-objdump"))
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
        .enabled(if: LLVMListing.isInstalled, "needs llvm-mc and llvm-objdump"),
        .enabled(if: !CompiledVariant.all.isEmpty, "there is no gcc and no clang"))
    func programs() throws {
        for variant in CompiledVariant.all {
            let image = try variant.guestImage()
            var samples: Set<[UInt8]> = []
            for section in image.code {
                let listing = disassembleAll(section.bytes, at: section.address, .bits64)
                for instruction in listing where instruction.isKnown { samples.insert(instruction.bytes) }
            }
            #expect(samples.count > 300, "\(variant)")
            try compare(samples.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    /// Compares instruction by instruction, and tells of the first differences.
    private func compare(_ samples: [[UInt8]]) throws {
        let theirs = try LLVMListing.disassemble(samples, .bits64)
        var differences: [String] = []
        var compared = 0
        try #require(theirs.count == samples.count)
        for (bytes, answer) in zip(samples, theirs) {
            guard let answer, answer.count == bytes.count else { continue }
            // Intel's TPAUSE, which AMD's processors do not have.
            if answer.text.hasPrefix("tpause") { continue }
            compared += 1
            guard let ours = disassemble(bytes, at: answer.address, .bits64) else {
                differences.append("\(hex(bytes)): nothing, not \(answer.text)")
                continue
            }
            if !IntelSpelling.isSame(ours.text, answer.text) {
                differences.append("\(hex(bytes)): \(ours.text) | \(answer.text)")
            }
        }
        // What LLVM does not know is not compared; that must stay the exception.
        #expect(compared * 100 > samples.count * 95, "\(compared) of \(samples.count) compared")
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(200).joined(separator: "\n"))")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}
