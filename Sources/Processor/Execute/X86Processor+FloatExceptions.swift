// SSE arithmetic while some exception of MXCSR is not masked: computed aside, and written back only if none such is raised.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// Bits of MXCSR.
enum MXCSR {
    static let flags: UInt64 = 0x3f
    /// Invalid operation, denormal operand, division by zero: found before anything is computed.
    static let early: UInt64 = 7
    static let underflow: UInt64 = 1 << 4
    static let masks: UInt64 = 0x1f80
    static let flushToZero: UInt64 = 1 << 15
}

extension X86Processor {
    /// Whether some exception of MXCSR is not masked.
    var trapsFloats: Bool { core[CoreLayout.mxcsr] & MXCSR.masks != MXCSR.masks }

    /// Executes an instruction that may raise an exception of MXCSR.
    ///
    /// - Spec: APM1 4.10; APM2 8.2.20
    func executeFloat(_ i: Instruction, _ form: VectorForm) throws(Interruption) {
        let r = state.registers
        guard r.cr0 & (CR0.emulation | CR0.taskSwitched) == 0, r.cr4 & CR4.osfxsr != 0 else { throw refusedVector(i) }
        var immediate: Int64 = 0
        if case .immediate(let value)? = i.operands.last { immediate = value }
        let kernel: Kernel
        let source: (UInt64, UInt64)
        switch form {
        case .source(let only, let count, let aligned):
            unsafe kernel = only
            source = try floatSource(i, count, aligned: aligned)
        case .fromGeneral(let narrow, let wide):
            let isWide = width(of: i.operands[1], i) == .quad
            unsafe kernel = isWide ? wide : narrow
            source = try floatSource(i, isWide ? 8 : 4, aligned: false)
        case .toGeneral(let narrow, let wide, let count):
            unsafe kernel = width(of: i.operands[0], i) == .quad ? wide : narrow
            source = try floatSource(i, count, aligned: false)
        default: throw undefined(i)
        }
        switch i.operands[0] {
        case .vector(let number):
            let target = CoreLayout.vectors + Int(number) * 32
            let result = unsafe try compute(kernel, (core[target], core[target + 8]), source, immediate)
            (core[target], core[target + 8]) = result
        case .register(let register):
            core.setGeneral(Int(register.number), unsafe try compute(kernel, (0, 0), source, immediate).0)
        default: throw undefined(i)
        }
    }

    private func width(of operand: Operand, _ i: Instruction) -> Width {
        if case .register(let register) = operand { return register.width }
        return i.memory.width
    }

    private func floatSource(
        _ i: Instruction, _ count: Int, aligned: Bool
    ) throws(Interruption) -> (UInt64, UInt64) {
        switch i.operands[1] {
        case .vector(let number):
            let from = CoreLayout.vectors + Int(number) * 32
            return (core[from], core[from + 8])
        case .register(let register): return (core[register], 0)
        default:
            let address = try linear(of: i, .read, count: count)
            guard count == 16 else { return (try readValue(address, count), 0) }
            guard !aligned || address & 15 == 0 else { throw .exception(.protection()) }
            return (try readValue(address, 8), try readValue(address &+ 8, 8))
        }
    }

    /// What a kernel computes under MXCSR, which gets the exceptions' flags.
    ///
    /// - Throws: #XM, or #UD without CR4.OSXMMEXCPT, for an exception that is not masked
    /// - Deviates: where overflow or underflow traps, PE may be set beside it for a result that is exact but for its exponent.
    ///   The products and sums of DPPS and DPPD are one step, where processors stop at the first that traps
    func compute(
        _ kernel: Kernel, _ a: (UInt64, UInt64), _ b: (UInt64, UInt64), _ immediate: Int64
    ) throws(Interruption) -> (UInt64, UInt64) {
        let (before, arithmetic) = (core[CoreLayout.mxcsr], core.flags)
        let unmasked = ~(before >> 7) & MXCSR.flags
        // Results are flushed only where underflow is masked.
        let isUnderflowMasked = unmasked & MXCSR.underflow == 0
        let control = before & ~(MXCSR.flags | (isUnderflowMasked ? 0 : MXCSR.flushToZero))
        core[CoreLayout.mxcsr] = control
        let result = unsafe core.apply(kernel, a, b, immediate)
        var flags = core[CoreLayout.mxcsr] & MXCSR.flags
        if !isUnderflowMasked {
            // A tiny result counts even if it is exact. Where such results are flushed it shows.
            core[CoreLayout.mxcsr] = control | MXCSR.flushToZero
            _ = unsafe core.apply(kernel, a, b, immediate)
            flags |= core[CoreLayout.mxcsr] & MXCSR.underflow
        }
        if flags & unmasked & MXCSR.early != 0 { flags &= MXCSR.early }
        core[CoreLayout.mxcsr] = before | flags
        if flags & unmasked != 0 {
            core.flags = arithmetic
            throw .exception(
                state.registers.cr4 & CR4.osxmmexcpt != 0 ? GuestException(vector: 19) : .undefined)
        }
        return result
    }
}
