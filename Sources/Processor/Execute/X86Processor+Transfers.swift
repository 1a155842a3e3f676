// Far transfers, interrupts by instruction, and system calls.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func executeTransfer(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .jmpf, .callf: try farTransfer(i)
        case .retf:
            let released: UInt64
            if let operand = i.operands.first, case .immediate(let count) = operand {
                released = UInt64(bitPattern: count)
            } else {
                released = 0
            }
            try farReturn(i.width, released: released)
        case .iret: try interruptReturn(i)
        case .int: throw software(UInt8(truncatingIfNeeded: try read(0, of: i)))
        case .int3: throw software(3)
        case .int1: throw .exception(GuestException(vector: 1, isExternal: false))
        case .into:
            if core.flags & 0x800 != 0 { throw software(4) }
        case .syscall: try systemCall(i)
        case .sysret: try systemReturn(i)
        case .sysenter: try systemEnter()
        case .sysexit: try systemExit(i)
        default: throw undefined(i)
        }
    }

    private func software(_ vector: UInt8) -> Interruption {
        .exception(GuestException(vector: vector, isSoftware: true))
    }

    // MARK: Far jumps and calls

    private func farTransfer(_ i: Instruction) throws(Interruption) {
        let selector: UInt16
        let offset: UInt64
        switch i.operands[0] {
        case .far(let s, let o): (selector, offset) = (s, UInt64(o))
        default:
            let size = i.width.byteCount
            let address = try linear(of: i, .read, count: size + 2)
            offset = try readValue(address, size)
            selector = UInt16(try readValue(address &+ UInt64(size), 2))
        }
        let isCall = i.mnemonic == .callf
        if !isProtected {
            if isCall { try pushFar(i.width) }
            setRealModeSegment(.cs, selector)
            state.registers.rip = offset & (i.width == .word ? 0xffff : 0xffff_ffff)
            return
        }
        guard selector & 0xfffc != 0 else { throw .exception(.protection()) }
        let descriptor = try readDescriptor(selector)
        // Call gates and task switches are left out: no system software that runs as an SNP guest has them.
        guard descriptor.isCode else { throw .exception(.protection(selector)) }
        let requested = UInt8(selector & 3)
        if descriptor.isConforming {
            guard descriptor.privilege <= cpl else { throw .exception(.protection(selector)) }
        } else {
            guard requested <= cpl, descriptor.privilege == cpl else { throw .exception(.protection(selector)) }
        }
        guard descriptor.isPresent else { throw .exception(.notPresent(selector)) }
        if isLongMode, descriptor.isLong, descriptor.isBig { throw .exception(.protection(selector)) }
        let isLong = isLongMode && descriptor.isLong
        if isLong {
            guard Self.isCanonical(offset) else { throw .exception(.protection()) }
        } else {
            guard offset <= UInt64(descriptor.limit) else { throw .exception(.protection()) }
        }
        if isCall { try pushFar(i.width) }
        try markAccessed(selector, descriptor)
        state.registers.cs = descriptor.register(selector: selector & 0xfffc | UInt16(cpl))
        loadSegmentBases()
        state.registers.rip = isLong ? offset : offset & (i.width == .word ? 0xffff : 0xffff_ffff)
        translationsMayHaveChanged()
    }

    private func pushFar(_ width: Width) throws(Interruption) {
        let before = core.general(4)
        do throws(Interruption) {
            try push(UInt64(state.registers.cs.selector), width)
            try push(state.registers.rip, width)
        } catch {
            core.setGeneral(4, before)
            throw error
        }
    }

    // MARK: Far returns

    private func farReturn(_ width: Width, released: UInt64) throws(Interruption) {
        let before = core.general(4)
        do throws(Interruption) {
            let offset = try pop(width)
            let selector = UInt16(truncatingIfNeeded: try pop(width))
            if !isProtected {
                setRealModeSegment(.cs, selector)
                state.registers.rip = offset & (width == .word ? 0xffff : 0xffff_ffff)
                return setStackPointer(core.general(4) &+ released)
            }
            setStackPointer(core.general(4) &+ released)
            try returnTo(selector, offset, width, popsStack: selector & 3 != UInt16(cpl), released: released)
        } catch {
            core.setGeneral(4, before)
            throw error
        }
    }

    private func interruptReturn(_ i: Instruction) throws(Interruption) {
        let before = core.general(4)
        let saved = state.registers
        do throws(Interruption) {
            let width = i.width
            let offset = try pop(width)
            let selector = UInt16(truncatingIfNeeded: try pop(width))
            let flags = try pop(width)
            if !isProtected {
                setRealModeSegment(.cs, selector)
                state.registers.rip = offset & (width == .word ? 0xffff : 0xffff_ffff)
                setFlagsFromStack(flags, width)
                return
            }
            guard flagsRegister & RFLAGS.nestedTask == 0 || isLongMode else { throw .exception(.protection()) }
            // In 64-bit mode the stack is popped always, else only on a return to an outer level.
            let oldPrivilege = cpl
            let isLong = codeMode == .bits64
            try returnTo(
                selector, offset, width, popsStack: isLong || selector & 3 != UInt16(cpl), released: 0)
            var changeable = RFLAGS.writable | RFLAGS.resume
            if width == .word { changeable &= 0xffff }
            if oldPrivilege > 0 { changeable &= ~RFLAGS.ioPrivilege }
            if UInt64(oldPrivilege) > saved.rflags >> 12 & 3 { changeable &= ~RFLAGS.interrupt }
            setFlagsRegister(flagsRegister & ~changeable | flags & changeable)
            translationsMayHaveChanged()
        } catch {
            state.registers = saved
            core.setGeneral(4, before)
            loadSegmentBases()
            throw error
        }
    }

    /// The end of RETF and IRET in protected mode: checks the code segment, pops the stack, and drops privilege.
    private func returnTo(
        _ selector: UInt16, _ offset: UInt64, _ width: Width, popsStack: Bool, released: UInt64
    ) throws(Interruption) {
        guard selector & 0xfffc != 0 else { throw .exception(.protection()) }
        let privilege = UInt8(selector & 3)
        guard privilege >= cpl else { throw .exception(.protection(selector)) }
        let descriptor = try readDescriptor(selector)
        guard descriptor.isCode else { throw .exception(.protection(selector)) }
        guard descriptor.isConforming ? descriptor.privilege <= privilege : descriptor.privilege == privilege else {
            throw .exception(.protection(selector))
        }
        guard descriptor.isPresent else { throw .exception(.notPresent(selector)) }
        let isLong = isLongMode && descriptor.isLong
        var newStack: (SegmentRegister, UInt64)?
        if popsStack {
            let pointer = try pop(width)
            let stack = UInt16(truncatingIfNeeded: try pop(width))
            if stack & 0xfffc == 0 {
                guard isLong, privilege < 3 else { throw .exception(.protection()) }
                newStack = (SegmentRegister(selector: stack), pointer)
            } else {
                newStack = (try stackSegment(stack, privilege: privilege, refusal: { .protection($0) }), pointer)
            }
        }
        if isLong {
            guard Self.isCanonical(offset) else { throw .exception(.protection()) }
        } else {
            guard offset <= UInt64(descriptor.limit) else { throw .exception(.protection()) }
        }
        try markAccessed(selector, descriptor)
        let dropped = privilege > cpl
        state.registers.cs = descriptor.register(selector: selector)
        state.registers.cpl = privilege
        if let (segment, pointer) = newStack {
            state.registers.ss = segment
            let mask: UInt64 = isLong ? ~0 : segment.attributes & SegmentAttributes.big != 0 ? 0xffff_ffff : 0xffff
            core.setGeneral(4, core.general(4) & ~mask | (pointer &+ released) & mask)
        }
        if dropped { dropPrivilegedSegments() }
        loadSegmentBases()
        state.registers.rip = isLong ? offset : offset & (width == .word ? 0xffff : 0xffff_ffff)
        translationsMayHaveChanged()
    }

    /// After a return to an outer level, data segments of the inner one are gone.
    private func dropPrivilegedSegments() {
        for segment in [SegmentName.es, .ds, .fs, .gs] {
            let register = self[segment]
            let isConforming = register.attributes & 0xc == 0xc
            let privilege = UInt8(register.attributes >> 5 & 3)
            if !isConforming, privilege < cpl, register.selector & 0xfffc != 0 {
                self[segment] = SegmentRegister(base: isLongMode ? register.base : 0)
            }
        }
    }

    // MARK: System calls

    private static let flatCode64: UInt16 = 0xa9b
    private static let flatCode32: UInt16 = 0xc9b
    private static let flatData: UInt16 = 0xc93

    private func setFlat(code: UInt16, stack: UInt16, privilege: UInt8, isLong: Bool) {
        let level = UInt16(privilege) << 5
        state.registers.cs = SegmentRegister(
            selector: code, attributes: (isLong ? Self.flatCode64 : Self.flatCode32) | level, limit: ~0)
        state.registers.ss = SegmentRegister(selector: stack, attributes: Self.flatData | level, limit: ~0)
        state.registers.cpl = privilege
        loadSegmentBases()
        translationsMayHaveChanged()
    }

    /// - Spec: APM3 SYSCALL
    private func systemCall(_ i: Instruction) throws(Interruption) {
        guard state.registers.efer & EFER.syscall != 0, isProtected else { throw .exception(.undefined) }
        let r = state.registers
        let selector = UInt16(truncatingIfNeeded: r.star >> 32) & 0xfffc
        if isLongMode {
            core.setGeneral(1, r.rip)
            core.setGeneral(11, flagsRegister & ~RFLAGS.resume)
            state.registers.rip = codeMode == .bits64 ? r.lstar : r.cstar
            setFlagsRegister(flagsRegister & ~r.sfmask & ~RFLAGS.resume)
            setFlat(code: selector, stack: selector &+ 8, privilege: 0, isLong: true)
        } else {
            core.setGeneral(1, r.rip)
            state.registers.rip = r.star & 0xffff_ffff
            setFlagsRegister(flagsRegister & ~(RFLAGS.interrupt | RFLAGS.virtual8086 | RFLAGS.resume))
            setFlat(code: selector, stack: selector &+ 8, privilege: 0, isLong: false)
        }
    }

    /// - Spec: APM3 SYSRET
    private func systemReturn(_ i: Instruction) throws(Interruption) {
        guard state.registers.efer & EFER.syscall != 0 else { throw .exception(.undefined) }
        guard isProtected, cpl == 0 else { throw .exception(.protection()) }
        let selector = UInt16(truncatingIfNeeded: state.registers.star >> 48)
        let to = core.general(1)
        let isLong = codeMode == .bits64 && i.width == .quad
        if isLong { guard Self.isCanonical(to) else { throw .exception(.protection()) } }
        let kept = RFLAGS.writable | RFLAGS.resume
        if isLongMode {
            setFlagsRegister(core.general(11) & kept & ~RFLAGS.resume)
        } else {
            setFlagsRegister(flagsRegister | RFLAGS.interrupt)
        }
        setFlat(
            code: (isLong ? selector &+ 16 : selector) | 3, stack: (selector &+ 8) | 3, privilege: 3, isLong: isLong)
        state.registers.rip = isLong ? to : to & 0xffff_ffff
    }

    /// SYSENTER: in legacy mode only on AMD processors.
    private func systemEnter() throws(Interruption) {
        guard !isLongMode else { throw .exception(.undefined) }
        let selector = UInt16(truncatingIfNeeded: state.registers.sysenterCS) & 0xfffc
        guard isProtected, selector != 0 else { throw .exception(.protection()) }
        setFlagsRegister(flagsRegister & ~(RFLAGS.interrupt | RFLAGS.virtual8086))
        setFlat(code: selector, stack: selector &+ 8, privilege: 0, isLong: false)
        core.setGeneral(4, state.registers.sysenterESP & 0xffff_ffff)
        state.registers.rip = state.registers.sysenterEIP & 0xffff_ffff
    }

    private func systemExit(_ i: Instruction) throws(Interruption) {
        guard !isLongMode else { throw .exception(.undefined) }
        let selector = UInt16(truncatingIfNeeded: state.registers.sysenterCS) & 0xfffc
        guard isProtected, cpl == 0, selector != 0 else { throw .exception(.protection()) }
        setFlat(code: (selector &+ 16) | 3, stack: (selector &+ 24) | 3, privilege: 3, isLong: false)
        core.setGeneral(4, core.general(1) & 0xffff_ffff)
        state.registers.rip = core.general(2) & 0xffff_ffff
    }
}
