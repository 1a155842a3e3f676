// SSE arithmetic under every MXCSR, compared with the processor that the tests run on: results, flags, and which exceptions trap.

import Machine
import SNPArchitecture
import Testing

@testable import Processor

extension NativeComparisonTests {
    /// Rounding, flush-to-zero and denormals-are-zero in every combination.
    static let controls: [UInt32] = (0..<4).flatMap { rounding in
        [0, 0x40, 0x8000, 0x8040].map { $0 | rounding << 13 }
    }

    @Test("SSE arithmetic with all exceptions masked: each rounding, with and without denormals", arguments: controls)
    func masked(_ control: UInt32) throws {
        let runs = try compareFloats { _ in control | 0x1f80 }
        #expect(runs.completed > 500 && runs.trapped == 0, "\(runs)")
    }

    @Test("exceptions that are not masked trap, and leave the flags that the processor leaves")
    func unmasked() throws {
        let runs = try compareFloats { random in
            (Self.controls.randomElement(using: &random) ?? 0) | UInt32.random(in: 0...0x3f, using: &random) << 7
                | (Bool.random(using: &random) ? 0 : UInt32.random(in: 0...0x3f, using: &random))
        }
        #expect(runs.completed > 200 && runs.trapped > 200, "\(runs)")
    }

    @Test("an exception that is not masked is #XM, and #UD unless CR4.OSXMMEXCPT is set")
    func vectors() throws {
        for (bit, vector) in [(UInt64(1) << 10, UInt64(19)), (0, 6)] {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            guest.state.registers.cr4 = guest.state.registers.cr4 & ~(1 << 10) | 1 << 9 | bit
            guest.state.registers.mxcsr = 0x1d80
            // xorps xmm1, xmm1; divss xmm0, xmm1
            guest.state.registers.xmmRegisters[0] = 0x3f80_0000
            let seen = try guest.fault([0x0f, 0x57, 0xc9, 0xf3, 0x0f, 0x5e, 0xc1, 0xf4])
            #expect(seen?.vector == vector && seen?.rip == GuestFixture.code + 3)
            #expect(guest.state.registers.mxcsr == 0x1d84)
            #expect(guest.state.registers.xmmRegisters[0] == 0x3f80_0000)
        }
    }

    private struct Runs { var completed = 0, trapped = 0 }

    private func compareFloats(_ control: (inout TestRandom) -> UInt32) throws -> Runs {
        var runs = Runs()
        guard let comparison = try NativeComparison() else { return Runs(completed: .max, trapped: .max) }
        var complaints: [String] = []
        for form in EncodedForm.all where form.isComparable && form.form.mnemonic.usesMXCSR {
            for memory in [false, true] {
                for width in [Width.double, .quad] {
                    var random = TestRandom(UInt64(form.index * 8 + Int(width.rawValue) * 2 + (memory ? 1 : 0) + 3))
                    for _ in 0..<Self.repetitions {
                        guard let code = form.encode(memory: memory, width: width, &random) else { break }
                        let padded = code + [UInt8](repeating: 0, count: 15 - code.count)
                        guard case .instruction(let i) = Decoder.decode(padded, mode: .bits64) else { break }
                        var start = Self.randomState(&random, i)
                        Self.setEdges(&start, &random)
                        start.mxcsr = control(&random)
                        let real = comparison.native(code, start)
                        let realTrap = comparison.floatTrap
                        let ours = try comparison.emulated(code, start)
                        let name = "\(form): \(hex(code)) under \(String(start.mxcsr, radix: 16))"
                        if let real, let ours {
                            runs.completed += 1
                            if let text = difference(real, ours, Self.definedFlags(i, start, real), i) {
                                complaints.append("\(name) \(text)")
                            }
                        } else if !Self.agree(realTrap, comparison.floatTrap, i) || (real == nil) != (ours == nil) {
                            func text(_ trap: UInt32?) -> String { trap.map { String($0, radix: 16) } ?? "none" }
                            complaints.append("\(name) traps: \(text(realTrap)), here \(text(comparison.floatTrap))")
                        } else if realTrap != nil {
                            runs.trapped += 1
                        }
                    }
                }
            }
        }
        let summary = "\(complaints.count) differences:\n" + complaints.prefix(40).joined(separator: "\n")
        let agrees = complaints.isEmpty
        #expect(agrees, Comment(rawValue: summary))
        return runs
    }

    /// Whether two processors trap alike: `compute` says what may differ.
    private static func agree(_ real: UInt32?, _ ours: UInt32?, _ i: Instruction) -> Bool {
        guard let real, let ours else { return real == nil && ours == nil }
        if i.mnemonic == .dpps || i.mnemonic == .dppd { return true }
        let unmasked = ~real >> 7 & 0x3f
        return (real ^ ours) & ~(real & unmasked & 0x18 != 0 ? 0x20 : 0) == 0
    }

    /// Guest code runs slowly without optimisation.
    #if DEBUG
        private static let repetitions = 3
    #else
        private static let repetitions = 4
    #endif

    /// Operands at the edges of what the formats have: zeros, denormals, the largest numbers, infinities, NaN of both kinds,
    /// the limits of integers, and neighbours of 1.
    private static func setEdges(_ state: inout ComparedState, _ random: inout TestRandom) {
        let singles: [UInt32] = [
            0, 1, 0x7f_ffff, 0x80_0000, 0x80_0001, 0x3f80_0000, 0x3f80_0001, 0x3f7f_ffff, 0x7f7f_ffff, 0x7f80_0000,
            0x7fc0_0001, 0x7f80_0001, 0x4f00_0000, 0x4eff_ffff, 0x5f00_0000, 0x3380_0000, 0x3f00_0000, 0x3fc0_0000,
        ]
        let doubles: [UInt64] = [
            0, 1, 0xf_ffff_ffff_ffff, 0x10_0000_0000_0000, 0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0001,
            0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0001, 0x7ff0_0000_0000_0001,
            0x41e0_0000_0000_0000, 0x41df_ffff_ffe0_0000, 0x43e0_0000_0000_0000, 0x380f_ffff_ffff_ffff,
            0x36a0_0000_0000_0000, 0x47ef_ffff_f000_0000, 0x3fe0_0000_0000_0000, 0x3ff8_0000_0000_0000,
        ]
        func single() -> UInt64 {
            let sign = Bool.random(using: &random) ? UInt64(1) << 31 : 0
            switch UInt8.random(in: 0...3, using: &random) {
            case 0: return random.next() & 0xffff_ffff
            case 1: return UInt64(Float.random(in: -1e6...1e6, using: &random).bitPattern)
            default: return UInt64(singles.randomElement(using: &random) ?? 0) ^ sign
            }
        }
        func word() -> UInt64 {
            if Bool.random(using: &random) { return single() | single() << 32 }
            let sign = Bool.random(using: &random) ? UInt64(1) << 63 : 0
            switch UInt8.random(in: 0...3, using: &random) {
            case 0: return random.next()
            case 1: return Double.random(in: -1e6...1e6, using: &random).bitPattern
            default: return (doubles.randomElement(using: &random) ?? 0) ^ sign
            }
        }
        for number in 0..<16 { state.vectors[number] = [word(), word()] }
        for offset in stride(from: 0, to: 0x800, by: 8) {
            let value = word()
            for byte in 0..<8 { state.data[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
        }
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined(separator: " ")
    }
}
