// The instructions that are not operations of the core, by group. RIP is already that of the next instruction; what throws
// an exception gets it back.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    /// Executes an instruction.
    func execute(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .push, .pop, .pusha, .popa, .pushf, .popf, .enter, .leave: try executeStack(i)
        case .jmp, .call, .ret, .jcxz, .loop, .loope, .loopne, .jo, .jno, .jb, .jae, .je, .jne, .jbe, .ja, .js, .jns,
            .jp,
            .jnp, .jl, .jge, .jle, .jg:
            try executeBranch(i)
        case .jmpf, .callf, .retf, .iret, .int, .int3, .int1, .into, .syscall, .sysret, .sysenter, .sysexit:
            try executeTransfer(i)
        case .movsb, .movs, .stosb, .stos, .lodsb, .lods, .cmpsb, .cmps, .scasb, .scas: try executeString(i)
        case .in, .out, .insb, .ins, .outsb, .outs: try executePort(i)
        case .movseg, .les, .lds, .lss, .lfs, .lgs, .lldt, .ltr, .sldt, .str, .lar, .lsl, .verr, .verw, .arpl, .lgdt,
            .lidt,
            .sgdt, .sidt, .swapgs, .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase:
            try executeSegment(i)
        case .movcr, .movdr, .smsw, .lmsw, .clts, .invlpg, .rdmsr, .wrmsr, .cli, .sti, .hlt, .clac, .stac, .xgetbv,
            .xsetbv,
            .cpuid, .rdtsc, .rdtscp, .rdpmc, .invd, .wbinvd, .monitor, .mwait, .monitorx, .mwaitx, .vmmcall, .vmgexit,
            .nop:
            try executeSystem(i)
        case .pvalidate, .rmpadjust, .rmpquery: try executeRMP(i)
        case .div, .idiv: throw .exception(.divide)
        case .fxsave, .fxrstor, .ldmxcsr, .stmxcsr, .fwait, .xsave, .xsavec, .xsaveopt, .xsaves, .xrstor, .xrstors:
            try executeFloatingPointState(i)
        default: try executeRare(i)
        }
    }

    // MARK: Operands

    /// Reads an operand.
    func read(_ index: Int, of i: Instruction) throws(Interruption) -> UInt64 {
        switch i.operands[index] {
        case .register(let register): return core[register]
        case .immediate(let value), .target(let value): return UInt64(bitPattern: value)
        case .memory: return try readValue(linear(of: i, .read), min(8, i.memory.width.byteCount))
        case .segment(let segment): return UInt64(self[segment].selector)
        case .far, .control, .debug, .vector, .mmx, .stack: throw .exception(.undefined)
        }
    }

    /// Writes an operand.
    func write(_ index: Int, of i: Instruction, _ value: UInt64) throws(Interruption) {
        switch i.operands[index] {
        case .register(let register): core[register] = value
        case .memory: try writeValue(linear(of: i, .write), value, min(8, i.memory.width.byteCount))
        default: throw .exception(.undefined)
        }
    }

    /// Throws #GP unless the guest runs at CPL 0.
    func requireSupervisor() throws(Interruption) {
        guard cpl == 0 else { throw .exception(.protection()) }
    }

    // MARK: What compilers rarely write

    private func executeRare(_ i: Instruction) throws(Interruption) {
        if 0xd8...0xdf ~= i.opcode, i.isX87 { return try executeX87(i) }
        if i.isMMX { return try executeMMX(i) }
        if let form = vectorForms[i.mnemonic] {
            guard trapsFloats, i.mnemonic.usesMXCSR else { throw refusedVector(i) }
            return try executeFloat(i, form)
        }
        switch i.mnemonic {
        case .andn, .blsr, .blsmsk, .blsi, .bzhi, .bextr, .pdep, .pext, .mulx, .rorx, .shlx, .shrx, .sarx, .adcx, .adox:
            try executeBits(i)
        case .maskmovdqu:
            let (data, mask) = (CoreLayout.vectors + number(i, 0) * 32, CoreLayout.vectors + number(i, 1) * 32)
            guard state.registers.cr0 & CR0.emulation == 0, state.registers.cr4 & CR4.osfxsr != 0 else {
                throw .exception(.undefined)
            }
            guard state.registers.cr0 & CR0.taskSwitched == 0 else { throw .exception(.deviceNotAvailable) }
            try storeMasked(i, core[data], core[data + 8], mask: core[mask], core[mask + 8], count: 16)
        case .clzero:
            var at = core.general(0) & ~63
            if i.addressWidth == .word { at &= 0xffff } else if i.addressWidth == .double { at &= 0xffff_ffff }
            try writeLinear(
                linear(i.segmentOverride ?? .ds, at, 64, .write), [UInt8](repeating: 0, count: 64))
        case .rdpid: try write(0, of: i, UInt64(state.registers.tscAux))
        case .cmpxchg8b: try compareExchangePair(i)
        case .movbe, .movnti:
            let value = try read(1, of: i)
            try write(0, of: i, i.mnemonic == .movnti ? value : swapped(value, i.width))
        case .crc32: try cyclicRedundancy(i)
        case .rdrand, .rdseed:
            entropy ^= entropy << 13
            entropy ^= entropy >> 7
            entropy ^= entropy << 17
            try write(0, of: i, entropy &* 0x2545_f491_4f6c_dd1d)
            core.flags = 1
        case .xlat:
            let segment = i.segmentOverride ?? .ds
            var at = core.general(3) &+ (core.general(0) & 0xff)
            if i.addressWidth == .word { at &= 0xffff } else if i.addressWidth == .double { at &= 0xffff_ffff }
            core[RegisterOperand(number: 0, width: .byte)] = try readValue(linear(segment, at, 1, .read), 1)
        case .bound:
            let address = try linear(of: i, .read, count: i.width.byteCount * 2)
            let low = signed(try readValue(address, i.width.byteCount), i.width)
            let high = signed(try readValue(address &+ UInt64(i.width.byteCount), i.width.byteCount), i.width)
            let value = signed(try read(0, of: i), i.width)
            guard low <= value, value <= high else { throw .exception(GuestException(vector: 5)) }
        case .daa, .das, .aaa, .aas, .aam, .aad: try executeDecimal(i)
        default: throw undefined(i)
        }
    }

    private func number(_ i: Instruction, _ index: Int) -> Int {
        if case .vector(let number) = i.operands[index] { return Int(number) }
        return 0
    }

    /// Why the core did not execute a vector instruction.
    func refusedVector(_ i: Instruction) -> Interruption {
        let r = state.registers
        guard r.cr0 & CR0.emulation == 0, r.cr4 & CR4.osfxsr != 0 else { return .exception(.undefined) }
        guard r.cr0 & CR0.taskSwitched == 0 else { return .exception(.deviceNotAvailable) }
        // Otherwise its operand in memory is not aligned.
        return i.hasMemory ? .exception(.protection()) : undefined(i)
    }

    /// #UD of an instruction that the decoder knows and the processor does not.
    func undefined(_ i: Instruction) -> Interruption {
        let name = nameWithBytes(i)
        if counts.undefined.count < 64 || counts.undefined[name] != nil { counts.undefined[name, default: 0] += 1 }
        return .exception(.undefined)
    }

    func signed(_ value: UInt64, _ width: Width) -> Int64 {
        let unused = Int64(64 - 8 * width.byteCount)
        return Int64(bitPattern: value << UInt64(unused)) >> unused
    }

    private func swapped(_ value: UInt64, _ width: Width) -> UInt64 {
        value.byteSwapped >> UInt64(64 - 8 * width.byteCount)
    }

    /// CMPXCHG8B, and CMPXCHG16B, which must be aligned.
    private func compareExchangePair(_ i: Instruction) throws(Interruption) {
        let half = i.width == .quad ? 8 : 4
        let address = try linear(of: i, .write, count: half * 2)
        guard half == 4 || address & 15 == 0 else { throw .exception(.protection()) }
        try checkWritable(address, half * 2)
        let low = try readValue(address, half)
        let high = try readValue(address &+ UInt64(half), half)
        let mask: UInt64 = half == 8 ? ~0 : 0xffff_ffff
        let isEqual = low == core.general(0) & mask && high == core.general(2) & mask
        let zero: UInt64 = 1 << 6
        core.flags = core.flags & ~zero | (isEqual ? zero : 0)
        if isEqual {
            try writeValue(address, core.general(3), half)
            try writeValue(address &+ UInt64(half), core.general(1), half)
        } else {
            try writeValue(address, low, half)
            core.setGeneral(0, low)
            core.setGeneral(2, high)
        }
    }

    /// CRC32 of the Castagnoli polynomial.
    private func cyclicRedundancy(_ i: Instruction) throws(Interruption) {
        let count: Int
        switch i.operands[1] {
        case .register(let register): count = register.width.byteCount
        default: count = i.memory.width.byteCount
        }
        var data = try read(1, of: i)
        var sum = UInt32(truncatingIfNeeded: try read(0, of: i))
        for _ in 0..<count {
            sum ^= UInt32(data & 0xff)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 != 0 ? 0x82f6_3b78 : 0) }
            data >>= 8
        }
        try write(0, of: i, UInt64(sum))
    }

    /// Decimal adjustments: not in 64-bit mode.
    ///
    /// - Spec: APM3 DAA, DAS, AAA, AAS, AAM, AAD
    private func executeDecimal(_ i: Instruction) throws(Interruption) {
        let al = RegisterOperand(number: 0, width: .byte)
        let ah = RegisterOperand(number: 0, width: .byte, isHigh: true)
        let flags = core.flags
        var carry = flags & 1 != 0
        var auxiliary = flags & 0x10 != 0
        let old = core[al]
        switch i.mnemonic {
        case .daa, .das:
            let isSubtraction = i.mnemonic == .das
            var value = old
            let oldCarry = carry
            carry = false
            if old & 0xf > 9 || auxiliary {
                value = isSubtraction ? value &- 6 : value &+ 6
                carry = oldCarry || (isSubtraction ? old < 6 : old > 0xf9)
                auxiliary = true
            } else {
                auxiliary = false
            }
            if old > 0x99 || oldCarry {
                value = isSubtraction ? value &- 0x60 : value &+ 0x60
                carry = true
            }
            core[al] = value & 0xff
        case .aaa, .aas:
            if old & 0xf > 9 || auxiliary {
                let ax = RegisterOperand(number: 0, width: .word)
                core[ax] = i.mnemonic == .aaa ? core[ax] &+ 0x106 : core[ax] &- 0x106
                (carry, auxiliary) = (true, true)
            } else {
                (carry, auxiliary) = (false, false)
            }
            core[al] = core[al] & 0xf
        case .aam:
            let base = try read(0, of: i) & 0xff
            guard base != 0 else { throw .exception(.divide) }
            core[ah] = old / base
            core[al] = old % base
            (carry, auxiliary) = (false, false)
        default:
            let base = try read(0, of: i) & 0xff
            core[al] = (old + core[ah] * base) & 0xff
            core[ah] = 0
            (carry, auxiliary) = (false, false)
        }
        let value = core[al]
        core.flags =
            (carry ? 1 : 0) | (auxiliary ? 0x10 : 0) | (value == 0 ? 0x40 : 0) | (value & 0x80 != 0 ? 0x80 : 0)
            | (value.nonzeroBitCount & 1 == 0 ? 4 : 0)
    }
}

extension Instruction {
    /// An x87 instruction, by its mnemonic: the opcode may be that of another map.
    var isX87: Bool { mnemonic.rawValue >= Mnemonic.fadd.rawValue && mnemonic.rawValue <= Mnemonic.fcomip.rawValue }

    /// An instruction with an MMX operand, or EMMS.
    var isMMX: Bool {
        if mnemonic == .emms || mnemonic == .cvtpi2ps || mnemonic == .cvtpi2pd { return true }
        return operands.contains { if case .mmx = $0 { true } else { false } }
    }
}
