// Every form of the opcode table that a program can execute, compared with the processor that the tests run on.

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
        return state
    }

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
        var compared = 0
        var runs = 0
        var refused: Set<String> = []
        var complaints: [String] = []
        for form in EncodedForm.all where form.isComparable {
            var isCompared = false
            for memory in [false, true] {
                for width in [Width.double, .quad, .word] {
                    var random = TestRandom(UInt64(form.index * 8 + Int(width.rawValue) * 2 + (memory ? 1 : 0) + 1))
                    for _ in 0..<6 {
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
                        let real = comparison.native(code, start)
                        let ours = try comparison.emulated(code, start)
                        guard let real, let ours else {
                            if (real == nil) != (ours == nil) {
                                if real == nil {
                                    refused.insert("\(i.mnemonic)")
                                } else {
                                    complaints.append("\(form): \(hex(code)) is refused here only")
                                }
                            }
                            continue
                        }
                        runs += 1
                        isCompared = true
                        if Self.resultIsUndefined(i, start) { continue }
                        if let difference = difference(real, ours, Self.definedFlags(i, start, real)) {
                            complaints.append("\(form): \(hex(code)) \(difference)")
                            break
                        }
                    }
                }
            }
            if isCompared { compared += 1 }
        }
        print("compared \(compared) forms in \(runs) runs; refused by this processor only: \(refused.sorted())")
        #expect(compared > 400)
        let summary = "\(complaints.count) differences:\n" + complaints.prefix(40).joined(separator: "\n")
        let agrees = complaints.isEmpty
        #expect(agrees, Comment(rawValue: summary))
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined(separator: " ")
    }

    private func difference(_ real: ComparedState, _ ours: ComparedState, _ flags: UInt64) -> String? {
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
        if let at = real.data.indices.first(where: { real.data[$0] != ours.data[$0] }) {
            return "memory at \(String(at, radix: 16)): \(real.data[at]), here \(ours.data[at])"
        }
        return nil
    }
}
