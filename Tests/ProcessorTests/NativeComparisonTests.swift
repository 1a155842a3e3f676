// Every form of the opcode table that a program can execute, compared with the processor that the tests run on.

import Machine
import SNPArchitecture
import Testing

@testable import Processor

@Suite("Instructions do what the processor that the tests run on does", .serialized)
struct NativeComparisonTests {
    static let arithmetic: UInt64 = 0x8d5

    /// The flags that are defined after an instruction.
    static func definedFlags(_ i: Instruction, _ start: ComparedState, _ end: ComparedState) -> UInt64 {
        let (carry, auxiliary, zero, overflow): (UInt64, UInt64, UInt64, UInt64) = (1, 0x10, 0x40, 0x800)
        switch i.mnemonic {
        case .and, .or, .xor, .test: return arithmetic & ~auxiliary
        case .mul, .imul: return carry | overflow
        case .div, .idiv: return 0
        case .shl, .shr, .sar, .shld, .shrd, .rol, .ror, .rcl, .rcr:
            let isRotate = [.rol, .ror, .rcl, .rcr].contains(i.mnemonic)
            var count: UInt64 = start.general[1] & 0xff
            for operand in i.operands {
                if case .immediate(let value) = operand { count = UInt64(bitPattern: value) & 0xff }
            }
            let width =
                i.operands.first.map { operand -> Int in
                    if case .register(let register) = operand { return register.width.byteCount * 8 }
                    return i.memory.width.byteCount * 8
                } ?? 32
            count &= width == 64 ? 63 : 31
            if count == 0 { return arithmetic }
            var mask = arithmetic
            if !isRotate { mask &= ~auxiliary }
            if count != 1 { mask &= ~overflow }
            if !isRotate, count >= UInt64(width) { mask &= ~(carry | overflow) }
            if i.mnemonic == .shld || i.mnemonic == .shrd, count > UInt64(width) { return 0 }
            return mask
        case .bsf, .bsr: return zero
        case .bt, .bts, .btr, .btc: return carry
        case .tzcnt, .lzcnt: return carry | zero
        case .bextr: return carry | zero | overflow
        case .andn, .blsr, .blsi, .blsmsk, .bzhi: return carry | zero | overflow | 0x80
        default: return arithmetic
        }
    }

    /// Whether the result itself is undefined.
    static func resultIsUndefined(_ i: Instruction, _ start: ComparedState) -> Bool {
        guard i.mnemonic == .shld || i.mnemonic == .shrd, i.width == .word else {
            return i.mnemonic == .bswap && i.width == .word
        }
        var count: UInt64 = start.general[1] & 0x1f
        for operand in i.operands {
            if case .immediate(let value) = operand { count = UInt64(bitPattern: value) & 0x1f }
        }
        return count > 16
    }

    static func randomState(_ random: inout TestRandom, _ i: Instruction) -> ComparedState {
        var state = ComparedState()
        for number in 0..<16 {
            // Small, negative, and any: edges come up often.
            switch UInt8.random(in: 0...3, using: &random) {
            case 0: state.general[number] = UInt64.random(in: 0...0xff, using: &random)
            case 1: state.general[number] = ~UInt64.random(in: 0...0xffff, using: &random)
            default: state.general[number] = random.next()
            }
        }
        if [.bt, .bts, .btr, .btc].contains(i.mnemonic), i.hasMemory {
            for number in 0..<16 {
                state.general[number] = UInt64(bitPattern: Int64.random(in: -512...511, using: &random))
            }
        }
        state.general[3] = NativeComparison.dataAddress + 0x400
        state.general[4] = 0
        switch i.mnemonic {
        case .movs, .movsb, .stos, .stosb, .lods, .lodsb, .cmps, .cmpsb, .scas, .scasb:
            state.general[6] = NativeComparison.dataAddress + 0x800
            state.general[7] = NativeComparison.dataAddress + 0x900
            state.general[1] = UInt64.random(in: 0...9, using: &random)
        case .xlat: break
        case .maskmovq, .maskmovdqu: state.general[7] = NativeComparison.dataAddress + 0x900
        case .pcmpestri, .pcmpestrm:
            for number in [0, 2] {
                state.general[number] = UInt64(bitPattern: Int64.random(in: -20...20, using: &random))
            }
        case .xsave, .xsavec, .xrstor:
            (state.general[0], state.general[2]) = (UInt64.random(in: 0...3, using: &random), 0)
        case .div, .idiv:
            // Half of the time the high half is the sign of the low one, so that quotients fit.
            if Bool.random(using: &random) {
                state.general[2] =
                    i.mnemonic == .div ? 0 : UInt64(bitPattern: Int64(bitPattern: state.general[0]) >> 63)
            }
        default: break
        }
        state.flags = (random.next() & Self.arithmetic) | 2
        for number in 0..<16 { state.vectors[number] = [random.next(), random.next()] }
        state.data = (0..<NativeComparison.dataCount).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        if "\(i.mnemonic)".hasSuffix("s") || "\(i.mnemonic)".hasSuffix("d") || "\(i.mnemonic)".contains("si") {
            finite(&state, &random, i)
        }
        if i.isX87 || i.isMMX || [.fxsave, .fxrstor, .xsave, .xsavec, .xrstor, .fwait].contains(i.mnemonic) {
            state.x87 = .random(&random)
            setX87Data(&state, &random, i)
            // FYL2XP1 is defined from sqrt(1/2) - 1 to sqrt(2) - 1 only, and processors differ outside.
            let exponent = state.x87.registers[0][1] & 0x7fff
            if i.mnemonic == .fyl2xp1, 0x3ffd..<0x7fff ~= exponent {
                state.x87.registers[0][1] -= exponent - UInt64.random(in: 0x3fe0...0x3ffc, using: &random)
            }
        }
        if case .mmx? = i.operands.first(where: { if case .mmx = $0 { true } else { false } }) {
            // Integers are everywhere; conversions take numbers of ordinary size.
            if [.cvttps2pi, .cvtps2pi, .cvttpd2pi, .cvtpd2pi].contains(i.mnemonic) {
                for number in 0..<16 {
                    let (a, b) = (
                        Float.random(in: -1e6...1e6, using: &random), Double.random(in: -1e6...1e6, using: &random)
                    )
                    let isSingle = i.mnemonic == .cvttps2pi || i.mnemonic == .cvtps2pi
                    state.vectors[number] = isSingle ? [UInt64(a.bitPattern), 0] : [b.bitPattern, b.bitPattern]
                }
                var at = 0
                while at < 0x800 {
                    for byte in 0..<16 {
                        let value = state.vectors[at / 16 % 16][byte / 8]
                        state.data[at + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (byte & 7)))
                    }
                    at += 16
                }
            }
        }
        return state
    }

    /// What x87 instructions read from memory.
    static func setX87Data(_ state: inout ComparedState, _ random: inout TestRandom, _ i: Instruction) {
        switch i.mnemonic {
        case .fld where i.opcode == 0xdb: ComparedX87.fill(&state.data, byteCount: 10, &random)
        case .fld, .fadd, .fsub, .fsubr, .fmul, .fdiv, .fdivr, .fcom, .fcomp:
            if i.hasMemory { ComparedX87.fill(&state.data, byteCount: i.memory.width.byteCount, &random) }
        case .fbld:
            for at in 0..<0x800 where at % 16 != 9 {
                state.data[at] = UInt8.random(in: 0...9, using: &random) << 4 | UInt8.random(in: 0...9, using: &random)
            }
        case .fldenv, .frstor:
            // Exceptions stay masked, so that what follows can be compared.
            for at in stride(from: 0, to: 0x800, by: 16) { state.data[at] = 0x7f }
        case .fxrstor, .xrstor:
            let head = ComparedX87.random(&random).image
            let at = 0x400 + Int(i.memory.displacement)
            state.data.replaceSubrange(at..<at + 160, with: head)
            state.data.replaceSubrange(at + 24..<at + 32, with: [0x80, 0x1f, 0, 0, 0xff, 0xff, 0, 0])
            if i.mnemonic == .xrstor {
                let header = [UInt8.random(in: 0...3, using: &random)] + [UInt8](repeating: 0, count: 63)
                state.data.replaceSubrange(at + 512..<at + 576, with: header)
            }
        case .xsave, .xsavec:
            let at = 0x400 + Int(i.memory.displacement)
            state.data.replaceSubrange(at + 512..<at + 576, with: [UInt8](repeating: 0, count: 64))
        default: break
        }
    }

    /// Bytes of memory that hold addresses of the code and the data, which differ, or masks of what a processor has.
    static func forgetting(_ given: ComparedState, _ i: Instruction) -> ComparedState {
        var state = given
        let at = 0x400 + Int(i.memory.displacement)
        switch i.mnemonic {
        case .fnstenv, .fnsave:
            let range = i.width == .word ? 6..<14 : 12..<28
            for index in range where at + index < state.data.count { state.data[at + index] = 0 }
        case .fxsave, .xsave, .xsavec:
            for index in 8..<32 { state.data[at + index] = 0 }
        default: break
        }
        return state
    }

    /// The functions whose last bit is a processor's own.
    static let transcendental: Set<Mnemonic> = [
        .fsin, .fcos, .fsincos, .fptan, .fpatan, .f2xm1, .fyl2x, .fyl2xp1,
    ]

    /// Floating-point operands that are numbers of ordinary size: what exceptional ones give is not compared.
    static func finite(_ state: inout ComparedState, _ random: inout TestRandom, _ i: Instruction) {
        let name = "\(i.mnemonic)"
        let isSingle = name.hasSuffix("ps") || name.hasSuffix("ss") || name.contains("ss2") || name.contains("ps2")
        let isDouble = name.hasSuffix("pd") || name.hasSuffix("sd") || name.contains("sd2") || name.contains("pd2")
        guard isSingle || isDouble else { return }
        func word() -> UInt64 {
            if isDouble && !name.contains("ps2") && !name.contains("ss2") {
                return Double.random(in: -1e6...1e6, using: &random).bitPattern
            }
            let a = Float.random(in: -1e6...1e6, using: &random).bitPattern
            let b = Float.random(in: -1e6...1e6, using: &random).bitPattern
            return UInt64(a) | UInt64(b) << 32
        }
        for number in 0..<16 { state.vectors[number] = [word(), word()] }
        var offset = 0
        while offset < 0x800 {
            let value = word()
            for byte in 0..<8 { state.data[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
            offset += 8
        }
    }

    @Test("each form, with register and with memory operands, at each operand size")
    func forms() throws {
        guard let comparison = try NativeComparison() else {
            print("skipped: the tests do not run on an x86-64 processor")
            return
        }
        var compared: Set<Int> = []
        var refusedForms: Set<Int> = []
        var runs = 0
        var refused: Set<String> = []
        var complaints: [String] = []
        for form in EncodedForm.all where form.isComparable {
            var isCompared = false
            for memory in [false, true] {
                for width in [Width.double, .quad, .word] {
                    var random = TestRandom(UInt64(form.index * 8 + Int(width.rawValue) * 2 + (memory ? 1 : 0) + 1))
                    for _ in 0..<Self.runCount(form) {
                        guard let code = form.encode(memory: memory, width: width, &random) else { break }
                        guard
                            case .instruction(let i) = Decoder.decode(
                                code + [UInt8](repeating: 0, count: 15 - code.count), mode: .bits64)
                        else {
                            complaints.append("\(form): \(hex(code)) is not decoded")
                            break
                        }
                        guard i.length == code.count else {
                            complaints.append("\(form): \(hex(code)) is decoded as \(i.length) bytes")
                            break
                        }
                        let start = Self.randomState(&random, i)
                        let real = comparison.native(code, start).map { Self.forgetting($0, i) }
                        let ours = try comparison.emulated(code, start).map { Self.forgetting($0, i) }
                        guard let real, let ours else {
                            if (real == nil) != (ours == nil) {
                                if real == nil {
                                    refused.insert("\(i.mnemonic)")
                                    refusedForms.insert(form.form.line)
                                } else {
                                    complaints.append("\(form): \(hex(code)) is refused here only")
                                }
                            }
                            continue
                        }
                        runs += 1
                        isCompared = true
                        if Self.resultIsUndefined(i, start) { continue }
                        if let difference = difference(real, ours, Self.definedFlags(i, start, real), i) {
                            let x87 = i.isX87 ? "; from \(start.x87.text)" : ""
                            complaints.append("\(form): \(hex(code)) \(difference)\(x87)")
                            break
                        }
                    }
                }
            }
            if isCompared { compared.insert(form.form.line) }
        }
        print("compared \(compared.count) forms in \(runs) runs; refused by this processor only: \(refused.sorted())")
        #expect(compared.count > 700)
        if FormRecord.isRecording { try FormRecord.record("compared", compared) }
        // What this processor does not have stays recorded from one that has it.
        let expected = FormRecord.recorded("compared").subtracting(FormRecord.text(refusedForms.subtracting(compared)))
        let now = FormRecord.text(compared)
        #expect(now == expected, "run with RAMPART_RECORD_FORMS=1, then Scripts/instruction-coverage")
        let summary = "\(complaints.count) differences:\n" + complaints.prefix(40).joined(separator: "\n")
        let agrees = complaints.isEmpty
        #expect(agrees, Comment(rawValue: summary))
    }

    @Test("the forms that are #UD here are the recorded ones")
    func undefinedForms() throws {
        let guest = try GuestFixture()
        guest.state.registers.cr4 |= 1 << 9 | 1 << 18 | 1 << 16
        guest.state.registers.xcr0 = 3
        let long = guest.state
        var undefined: Set<Int> = []
        // The encoder picks registers for these that do not exist, which is #UD, too.
        for form in EncodedForm.all where ![.movcr, .movseg].contains(form.form.mnemonic) {
            for memory in [false, true] {
                var random = TestRandom(UInt64(form.index + 1))
                guard let code = form.encode(memory: memory, width: .double, &random) else { continue }
                guest.state = long
                guest.state.registers.rbx = NativeComparison.dataAddress + 0x400
                // Forms that 64-bit code does not have run in 32-bit code.
                if form.form.mode == .not64 { guest.state.registers.cs.attributes = 0xc9b }
                let before = guest.processor.counts.undefined.values.reduce(0, +)
                try guest.run(code + [UInt8](repeating: 0x90, count: 16), budget: 1)
                if guest.processor.counts.undefined.values.reduce(0, +) != before { undefined.insert(form.form.line) }
            }
        }
        if FormRecord.isRecording { try FormRecord.record("undefined", undefined) }
        let now = FormRecord.text(undefined)
        #expect(
            now == FormRecord.recorded("undefined"),
            "run with RAMPART_RECORD_FORMS=1, then Scripts/instruction-coverage")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined(separator: " ")
    }

    func difference(_ real: ComparedState, _ ours: ComparedState, _ flags: UInt64, _ i: Instruction) -> String? {
        for number in 0..<16 where real.general[number] != ours.general[number] {
            return
                "register \(number): \(String(real.general[number], radix: 16)), here \(String(ours.general[number], radix: 16))"
        }
        if (real.flags ^ ours.flags) & flags != 0 {
            return "flags: \(String(real.flags & flags, radix: 16)), here \(String(ours.flags & flags, radix: 16))"
        }
        for number in 0..<16 where real.vectors[number] != ours.vectors[number] {
            return
                "vector \(number): \(real.vectors[number].map { String($0, radix: 16) }), here \(ours.vectors[number].map { String($0, radix: 16) })"
        }
        if real.mxcsr != ours.mxcsr {
            return "MXCSR: \(String(real.mxcsr, radix: 16)), here \(String(ours.mxcsr, radix: 16))"
        }
        if let text = difference(real.x87, ours.x87, i) { return text }
        if let at = real.data.indices.first(where: { real.data[$0] != ours.data[$0] }) {
            return "memory at \(String(at, radix: 16)): \(real.data[at]), here \(ours.data[at])"
        }
        return nil
    }

    /// Whether two 80-bit numbers of one sign are at most one unit in the last place apart.
    private static func areNeighbours(_ a: [UInt64], _ b: [UInt64]) -> Bool {
        guard a[1] >> 15 == b[1] >> 15 else { return false }
        func ordinal(_ number: [UInt64]) -> UInt128 { UInt128(number[1]) << 63 | UInt128(number[0] & ~(1 << 63)) }
        let (x, y) = (ordinal(a), ordinal(b))
        return max(x, y) - min(x, y) <= 1 && a[0] >> 63 == b[0] >> 63
    }

    private static func runCount(_ form: EncodedForm) -> Int {
        form.map == 0 && 0xd8...0xdf ~= form.opcode ? 60 : 6
    }

    private func difference(_ real: ComparedX87, _ ours: ComparedX87, _ i: Instruction) -> String? {
        let isApproximate = Self.transcendental.contains(i.mnemonic)
        func hex(_ value: UInt64) -> String { String(value, radix: 16) }
        let ignored: UInt16 = isApproximate ? 0x200 : 0
        if (real.status ^ ours.status) & ~ignored != 0 {
            return
                "x87 status: \(hex(UInt64(real.status))), here \(hex(UInt64(ours.status))), control \(hex(UInt64(ours.control)))"
        }
        if real.control != ours.control { return "x87 control: \(real.control), here \(ours.control)" }
        if real.tag != ours.tag { return "x87 tag: \(hex(UInt64(real.tag))), here \(hex(UInt64(ours.tag)))" }
        for index in 0..<8 where real.registers[index] != ours.registers[index] {
            let (a, b) = (real.registers[index], ours.registers[index])
            if isApproximate, Self.areNeighbours(a, b) { continue }
            return "st\(index): \(a.map(hex)), here \(b.map(hex))"
        }
        return nil
    }
}
