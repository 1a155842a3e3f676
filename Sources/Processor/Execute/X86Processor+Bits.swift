// Bit manipulation with VEX prefixes, and additions with one carry of two.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    /// BMI1, BMI2 and ADX.
    ///
    /// - Spec: APM3 ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX, ADCX, ADOX
    func executeBits(_ i: Instruction) throws(Interruption) {
        guard case .register(let first) = i.operands[0] else { throw undefined(i) }
        let bits = UInt64(first.width.byteCount * 8)
        let mask: UInt64 = bits == 64 ? ~0 : (1 << bits) - 1
        let second = try read(1, of: i) & mask
        let third = i.operands.count > 2 ? try read(2, of: i) & mask : 0
        switch i.mnemonic {
        case .andn:
            let result = ~second & third & mask
            write(result, to: first, carry: false)
        case .blsr: write(second & (second &- 1) & mask, to: first, carry: second == 0)
        case .blsmsk: write((second ^ (second &- 1)) & mask, to: first, carry: second == 0)
        case .blsi: write(second & (0 &- second) & mask, to: first, carry: second != 0)
        case .bzhi:
            let index = third & 0xff
            write(index < bits ? second & ((1 << index) - 1) : second, to: first, carry: index >= bits)
        case .bextr:
            let (start, length) = (third & 0xff, third >> 8 & 0xff)
            let shifted = start < bits ? second >> start : 0
            write(length < bits ? shifted & ((1 << length) - 1) : shifted, to: first, carry: false)
        case .pdep: core[first] = Self.deposit(second, third)
        case .pext: core[first] = Self.extract(second, third)
        case .mulx:
            guard case .register(let low) = i.operands[1] else { throw undefined(i) }
            let factor = core[RegisterOperand(number: 2, width: first.width)]
            let product = UInt128(factor) * UInt128(third)
            // Where both name one register it gets the high half.
            core[low] = UInt64(truncatingIfNeeded: product) & mask
            core[first] = UInt64(truncatingIfNeeded: product >> UInt128(bits)) & mask
        case .rorx:
            let count = third & (bits - 1)
            core[first] = count == 0 ? second : (second >> count | second << (bits - count)) & mask
        case .shlx: core[first] = second << (third & (bits - 1)) & mask
        case .shrx: core[first] = second >> (third & (bits - 1))
        case .sarx: core[first] = UInt64(bitPattern: signed(second, first.width) >> Int64(third & (bits - 1))) & mask
        case .adcx, .adox:
            let flag: UInt64 = i.mnemonic == .adcx ? 1 : 0x800
            let flags = core.flags
            let sum = UInt128(core[first]) + UInt128(second) + (flags & flag != 0 ? 1 : 0)
            core[first] = UInt64(truncatingIfNeeded: sum) & mask
            core.flags = flags & ~flag | (sum >> UInt128(bits) != 0 ? flag : 0)
        default: throw undefined(i)
        }
    }

    private func write(_ result: UInt64, to register: RegisterOperand, carry: Bool) {
        core[register] = result
        let sign = result >> UInt64(register.width.byteCount * 8 - 1) & 1
        core.flags = (carry ? 1 : 0) | (result == 0 ? 0x40 : 0) | sign << 7
    }

    private static func deposit(_ value: UInt64, _ mask: UInt64) -> UInt64 {
        var (result, rest, bits) = (UInt64(0), mask, value)
        while rest != 0 {
            if bits & 1 != 0 { result |= rest & (0 &- rest) }
            bits >>= 1
            rest &= rest - 1
        }
        return result
    }

    private static func extract(_ value: UInt64, _ mask: UInt64) -> UInt64 {
        var (result, rest, at) = (UInt64(0), mask, UInt64(0))
        while rest != 0 {
            if value & rest & (0 &- rest) != 0 { result |= 1 << at }
            at += 1
            rest &= rest - 1
        }
        return result
    }
}
