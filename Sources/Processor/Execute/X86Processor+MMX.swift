// MMX: 64-bit vectors in the x87 registers. Most are the low half of what the same instruction does with 128 bits.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    private func mmx(_ number: UInt8) -> UInt64 { core[CoreLayout.x87Registers + Int(number & 7) * 16] }
    private func setMMX(_ number: UInt8, _ value: UInt64) {
        core[CoreLayout.x87Registers + Int(number & 7) * 16] = value
        core[CoreLayout.x87Registers + Int(number & 7) * 16 + 8] = 0xffff
    }
    private func vector(_ number: UInt8) -> (UInt64, UInt64) {
        (core[CoreLayout.vectors + Int(number) * 32], core[CoreLayout.vectors + Int(number) * 32 + 8])
    }

    /// Executes an instruction with an MMX register, or EMMS.
    ///
    /// - Spec: APM1 5; APM5
    func executeMMX(_ i: Instruction) throws(Interruption) {
        guard state.registers.cr0 & CR0.emulation == 0 else { throw .exception(.undefined) }
        guard state.registers.cr0 & CR0.taskSwitched == 0 else { throw .exception(.deviceNotAvailable) }
        try requireNoX87Exception()
        if i.mnemonic == .emms {
            x87Top = 0
            x87Tag = 0
            return
        }
        if i.mnemonic == .maskmovq {
            try storeMasked(i, mmx(i.modRM >> 3), 0, mask: mmx(i.modRM), 0, count: 8)
            return enterMMX()
        }
        // Memory is reached first: an instruction that faults has changed nothing.
        let source = try mmxSource(i)
        switch i.operands[0] {
        case .mmx(let number):
            let result = try mmxResult(i, mmx(number), source)
            enterMMX()
            setMMX(number, result)
        case .register(let register):
            let value = i.mnemonic == .movd ? source.low : try mmxResult(i, 0, source)
            enterMMX()
            core[register] = value
        case .memory:
            try write(0, of: i, source.low)
            enterMMX()
        case .vector(let number):
            let target = CoreLayout.vectors + Int(number) * 32
            switch i.mnemonic {
            case .cvtpi2ps: core[target] = try convert(i, (source.low, 0)).0
            case .cvtpi2pd: (core[target], core[target + 8]) = try convert(i, (source.low, 0))
            default: (core[target], core[target + 8]) = (source.low, 0)
            }
            // Conversions of integers in memory do not touch the x87 state.
            if !i.hasMemory { enterMMX() }
        default: throw undefined(i)
        }
    }

    /// All registers become full, and the top of the stack 0.
    private func enterMMX() {
        x87Top = 0
        x87Tag = 0xff
    }

    private func mmxSource(_ i: Instruction) throws(Interruption) -> (low: UInt64, high: UInt64) {
        guard i.operands.count > 1 else { return (0, 0) }
        switch i.operands[1] {
        case .mmx(let number): return (mmx(number), 0)
        case .vector(let number): return vector(number)
        case .register(let register): return (core[register], 0)
        case .memory:
            let count = i.memory.width.byteCount
            let address = try linear(of: i, .read, count: count)
            guard count == 16 else { return (try readValue(address, count), 0) }
            guard address & 15 == 0 else { throw .exception(.protection()) }
            return (try readValue(address, 8), try readValue(address &+ 8, 8))
        default: return (0, 0)
        }
    }

    private func kernel128(
        _ mnemonic: Mnemonic, _ a: (UInt64, UInt64), _ b: (UInt64, UInt64), _ immediate: Int64
    ) -> (UInt64, UInt64) {
        switch vectorForms[mnemonic] {
        case .source(let kernel, _, _): return unsafe core.apply(kernel, a, b, immediate)
        case .inPlace(let kernel): return unsafe core.apply(kernel, a, b, immediate)
        default: return (0, 0)
        }
    }

    private func mmxResult(
        _ i: Instruction, _ a: UInt64, _ source: (low: UInt64, high: UInt64)
    ) throws(Interruption) -> UInt64 {
        let b = source.low
        var immediate: Int64 = 0
        if case .immediate(let value)? = i.operands.last { immediate = value & 0xff }
        switch i.mnemonic {
        case .movd, .movq, .movdq2q: return b
        case .packsswb, .packuswb, .packssdw, .phaddw, .phaddd, .phaddsw, .phsubw, .phsubd, .phsubsw:
            // One operand above the other: the low half of the result has both.
            return kernel128(i.mnemonic, (a, b), (0, 0), 0).0
        case .punpckhbw: return kernel128(.punpcklbw, (a >> 32, 0), (b >> 32, 0), 0).0
        case .punpckhwd: return kernel128(.punpcklwd, (a >> 32, 0), (b >> 32, 0), 0).0
        case .punpckhdq: return kernel128(.punpckldq, (a >> 32, 0), (b >> 32, 0), 0).0
        case .pshufb: return kernel128(.pshufb, (a, 0), (b & 0x8787_8787_8787_8787, 0), 0).0
        case .pshufw: return kernel128(.pshuflw, (a, 0), (b, 0), immediate).0
        case .palignr:
            let count = UInt64(immediate) * 8
            return count >= 128 ? 0 : count >= 64 ? a >> (count - 64) : count == 0 ? b : b >> count | a << (64 - count)
        case .pinsrw:
            let shift = UInt64(immediate & 3) * 16
            return a & ~(0xffff << shift) | (b & 0xffff) << shift
        case .pextrw: return b >> (UInt64(immediate & 3) * 16) & 0xffff
        case .pmovmskb:
            return (0..<8 as Range<UInt64>).reduce(0) { $0 | (b >> ($1 * 8 + 7) & 1) << $1 }
        // Two lanes only: the upper ones raise nothing.
        case .cvttps2pi, .cvtps2pi: return try convert(i, (b, 0)).0
        case .cvttpd2pi, .cvtpd2pi: return try convert(i, source).0
        default: return kernel128(i.mnemonic, (a, 0), (b, 0), immediate).0
        }
    }

    private func convert(
        _ i: Instruction, _ source: (UInt64, UInt64)
    ) throws(Interruption) -> (UInt64, UInt64) {
        let mnemonic: Mnemonic =
            switch i.mnemonic {
            case .cvtpi2ps: .cvtdq2ps
            case .cvtpi2pd: .cvtdq2pd
            case .cvttps2pi: .cvttps2dq
            case .cvtps2pi: .cvtps2dq
            case .cvttpd2pi: .cvttpd2dq
            default: .cvtpd2dq
            }
        guard case .source(let kernel, _, _)? = vectorForms[mnemonic] else { return (0, 0) }
        return unsafe try compute(kernel, (0, 0), source, 0)
    }

    /// MASKMOVQ and MASKMOVDQU: the bytes whose mask has its top bit set, at DS:rDI.
    func storeMasked(
        _ i: Instruction, _ low: UInt64, _ high: UInt64, mask lowMask: UInt64, _ highMask: UInt64, count: Int
    ) throws(Interruption) {
        var at = core.general(7)
        if i.addressWidth == .word { at &= 0xffff } else if i.addressWidth == .double { at &= 0xffff_ffff }
        let address = try linear(i.segmentOverride ?? .ds, at, count, .write)
        func byte(_ a: UInt64, _ b: UInt64, _ index: Int) -> UInt8 {
            UInt8(truncatingIfNeeded: (index < 8 ? a : b) >> UInt64(8 * (index & 7)))
        }
        guard (0..<count).contains(where: { byte(lowMask, highMask, $0) & 0x80 != 0 }) else { return }
        var bytes = try readLinear(address, count)
        for index in 0..<count where byte(lowMask, highMask, index) & 0x80 != 0 {
            bytes[index] = byte(low, high, index)
        }
        try writeLinear(address, bytes)
    }
}
