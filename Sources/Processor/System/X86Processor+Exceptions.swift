// Delivery of exceptions and interrupts through the guest's IDT, or the vector table of real mode.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    /// Delivers what interrupted an instruction; an exit is passed on.
    ///
    /// - Spec: APM2 8.2, 8.7 to 8.9
    func deliver(_ interruption: Interruption) throws(Interruption) {
        switch interruption {
        case .exit: throw interruption
        case .exception(let exception): try deliver(exception, during: nil)
        }
    }

    /// The event that VMRUN injects.
    func takeEvent() throws(Interruption) {
        let event = state.event
        guard event.isValid else { return }
        state.event = .none
        var exception = GuestException(vector: event.vector, errorCode: event.errorCode)
        exception.isExternal = event.kind == .interrupt || event.kind == .nmi
        exception.isSoftware = event.kind == .software
        do throws(Interruption) { try deliver(exception, during: nil) } catch {
            if case .exit(var exit) = error {
                exit.interruptInfo = event
                throw .exit(exit)
            }
            throw error
        }
    }

    private func deliver(_ exception: GuestException, during first: GuestException?) throws(Interruption) {
        counts.exceptions[exception.vector, default: 0] += 1
        trail.add(
            DeliveredException(
                vector: exception.vector, errorCode: exception.errorCode, address: exception.address,
                rip: exception.start ?? state.registers.rip, instructions: counts.instructions, during: first?.vector,
                isExternal: exception.isExternal))
        // A guest that only faults must come to the end of its turn, too.
        state.budget -= min(1, state.budget)
        forgetContinuation()
        endShadow()
        // An element that a string instruction has read and not written is read again.
        core[CoreLayout.stagedElement] = 0
        if let address = exception.address { state.registers.cr2 = address }
        let before = state.registers
        let flags = flagsRegister
        let stackPointer = core.general(4)
        do throws(Interruption) {
            if !isProtected {
                try enterRealModeHandler(exception)
            } else {
                try enterHandler(exception)
            }
            translationsMayHaveChanged()
        } catch {
            state.registers = before
            setFlagsRegister(flags)
            core.setGeneral(4, stackPointer)
            loadSegmentBases()
            guard case .exception(let second) = error else {
                // The delivery is repeated when the guest is entered again: the exit remembers the event.
                throw remember(exception, error)
            }
            if let start = exception.start { state.registers.rip = start }
            if exception.vector == 8, !exception.isSoftware, !exception.isExternal { throw .exit(GuestExit(.shutdown)) }
            if Self.makeDoubleFault(exception, second) {
                try deliver(.doubleFault(), during: exception)
            } else {
                try deliver(second, during: exception)
            }
        }
    }

    private func remember(_ exception: GuestException, _ interruption: Interruption) -> Interruption {
        guard case .exit(var exit) = interruption else { return interruption }
        // An instruction that faulted runs again and faults again; only what comes from outside would be lost.
        if exception.isExternal || exception.isSoftware {
            exit.interruptInfo = EventInjection(
                exception.isSoftware ? .software : .interrupt, vector: exception.vector, errorCode: exception.errorCode)
        }
        return .exit(exit)
    }

    /// - Spec: APM2 8.2.9, Table 8-2
    /// - Deviates: that #VC is one of the contributory exceptions is unconfirmed
    private static func makeDoubleFault(_ first: GuestException, _ second: GuestException) -> Bool {
        func isContributory(_ vector: UInt8) -> Bool { [0, 10, 11, 12, 13, 29].contains(vector) }
        if first.isExternal || first.isSoftware { return false }
        if first.vector == 14 { return second.vector == 14 || isContributory(second.vector) }
        return isContributory(first.vector) && isContributory(second.vector)
    }

    // MARK: Real mode

    private func enterRealModeHandler(_ exception: GuestException) throws(Interruption) {
        let entry = UInt64(exception.vector) * 4
        guard entry + 3 <= UInt64(state.registers.idtr.limit) else { throw .exception(.protection()) }
        let target = try readValue(state.registers.idtr.base &+ entry, 4, origin: .system)
        try push(flagsRegister, .word)
        try push(UInt64(state.registers.cs.selector), .word)
        try push(state.registers.rip, .word)
        setFlagsRegister(flagsRegister & ~(RFLAGS.interrupt | RFLAGS.trap | RFLAGS.alignmentCheck))
        setRealModeSegment(.cs, UInt16(truncatingIfNeeded: target >> 16))
        setRIP(target & 0xffff)
    }

    // MARK: Protected and long mode

    private struct Gate {
        var offset: UInt64
        var selector: UInt16
        var stackTable: UInt8
        var type: UInt8
        var privilege: UInt8
        var isPresent: Bool
        var isTrap: Bool { type & 1 != 0 }
        var is16Bit: Bool { type < 8 }
    }

    private func gate(_ exception: GuestException) throws(Interruption) -> Gate {
        let size: UInt64 = isLongMode ? 16 : 8
        let entry = UInt64(exception.vector) * size
        let refusal = GuestException(
            vector: 13, errorCode: UInt32(exception.vector) << 3 | 2 | (exception.isExternal ? 1 : 0))
        guard entry + size - 1 <= UInt64(state.registers.idtr.limit) else { throw .exception(refusal) }
        let low = try readValue(state.registers.idtr.base &+ entry, 8, origin: .system)
        let high = isLongMode ? try readValue(state.registers.idtr.base &+ entry &+ 8, 8, origin: .system) : 0
        let gate = Gate(
            offset: low & 0xffff | low >> 32 & 0xffff_0000 | (high & 0xffff_ffff) << 32,
            selector: UInt16(truncatingIfNeeded: low >> 16), stackTable: UInt8(low >> 32 & 7),
            type: UInt8(low >> 40 & 0x1f),
            privilege: UInt8(low >> 45 & 3), isPresent: low >> 47 & 1 != 0)
        let types: [UInt8] = isLongMode ? [14, 15] : [6, 7, 14, 15]
        guard types.contains(gate.type) else { throw .exception(refusal) }
        if exception.isSoftware, gate.privilege < cpl { throw .exception(refusal) }
        guard gate.isPresent else {
            throw .exception(GuestException(vector: 11, errorCode: refusal.errorCode))
        }
        return gate
    }

    private func enterHandler(_ exception: GuestException) throws(Interruption) {
        let gate = try gate(exception)
        let external: UInt16 = exception.isExternal ? 1 : 0
        guard gate.selector & 0xfffc != 0 else { throw .exception(.protection(external)) }
        let code = try readDescriptor(gate.selector)
        guard code.isCode, code.privilege <= cpl else { throw .exception(.protection(gate.selector)) }
        guard code.isPresent else { throw .exception(.notPresent(gate.selector)) }
        if isLongMode { guard code.isLong, !code.isBig else { throw .exception(.protection(gate.selector)) } }

        let oldFlags = flagsRegister
        let oldStack = (selector: state.registers.ss.selector, pointer: core.general(4))
        let oldCode = (selector: state.registers.cs.selector, pointer: state.registers.rip)
        let newPrivilege = code.isConforming ? cpl : code.privilege
        let changesPrivilege = newPrivilege < cpl
        let width: Width = isLongMode ? .quad : gate.is16Bit ? .word : .double

        if isLongMode {
            var pointer = oldStack.pointer
            if gate.stackTable != 0 {
                pointer = try readTaskQuadword(36 + UInt64(gate.stackTable - 1) * 8)
            } else if changesPrivilege {
                pointer = try readTaskQuadword(4 + UInt64(newPrivilege) * 8)
            }
            state.registers.cpl = newPrivilege
            if changesPrivilege {
                state.registers.ss = SegmentRegister(selector: UInt16(newPrivilege))
            }
            core.setGeneral(4, pointer & ~0xf)
        } else if changesPrivilege {
            let stack = try readTaskStack(newPrivilege)
            let segment = try stackSegment(stack.selector, privilege: newPrivilege)
            state.registers.cpl = newPrivilege
            state.registers.ss = segment
            core.setGeneral(4, stack.pointer)
            loadSegmentBases()
        }
        if isLongMode || changesPrivilege {
            try push(UInt64(oldStack.selector), width)
            try push(oldStack.pointer, width)
        }
        try push(oldFlags, width)
        try push(UInt64(oldCode.selector), width)
        try push(oldCode.pointer, width)
        if let errorCode = exception.errorCode { try push(UInt64(errorCode), width) }

        state.registers.cs = code.register(selector: gate.selector & 0xfffc | UInt16(newPrivilege))
        loadSegmentBases()
        var flags = oldFlags & ~(RFLAGS.trap | RFLAGS.nestedTask | RFLAGS.resume | RFLAGS.virtual8086)
        if !gate.isTrap { flags &= ~RFLAGS.interrupt }
        setFlagsRegister(flags)
        if isLongMode, !Self.isCanonical(gate.offset) { throw .exception(.protection()) }
        setRIP(isLongMode ? gate.offset : gate.offset & (gate.is16Bit ? 0xffff : 0xffff_ffff))
    }

    /// A quadword of the 64-bit task state segment.
    private func readTaskQuadword(_ offset: UInt64) throws(Interruption) -> UInt64 {
        guard offset + 7 <= UInt64(state.registers.tr.limit) else {
            throw .exception(.invalidTSS(state.registers.tr.selector))
        }
        let value = try readValue(state.registers.tr.base &+ offset, 8, origin: .system)
        guard Self.isCanonical(value) else { throw .exception(.stack()) }
        return value
    }

    /// The stack of a privilege level in a task state segment outside long mode.
    private func readTaskStack(_ privilege: UInt8) throws(Interruption) -> (selector: UInt16, pointer: UInt64) {
        let task = state.registers.tr
        let is16Bit = task.attributes & 8 == 0
        let offset = UInt64(is16Bit ? 2 + privilege * 4 : 4 + privilege * 8)
        guard offset + (is16Bit ? 3 : 5) <= UInt64(task.limit) else { throw .exception(.invalidTSS(task.selector)) }
        let pointer = try readValue(task.base &+ offset, is16Bit ? 2 : 4, origin: .system)
        let selector = try readValue(task.base &+ offset &+ (is16Bit ? 2 : 4), 2, origin: .system)
        return (UInt16(selector), pointer)
    }
}
