// The registers: in the VMSA between runs; general registers, arithmetic flags and vectors in the core while the guest runs.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    /// What VMRUN has brought, to where the core wants it.
    func loadRegisters() {
        core.setGeneral(0, state.registers.rax)
        core.setGeneral(1, state.registers.rcx)
        core.setGeneral(2, state.registers.rdx)
        core.setGeneral(3, state.registers.rbx)
        core.setGeneral(4, state.registers.rsp)
        core.setGeneral(5, state.registers.rbp)
        core.setGeneral(6, state.registers.rsi)
        core.setGeneral(7, state.registers.rdi)
        core.setGeneral(8, state.registers.r8)
        core.setGeneral(9, state.registers.r9)
        core.setGeneral(10, state.registers.r10)
        core.setGeneral(11, state.registers.r11)
        core.setGeneral(12, state.registers.r12)
        core.setGeneral(13, state.registers.r13)
        core.setGeneral(14, state.registers.r14)
        core.setGeneral(15, state.registers.r15)
        setFlagsRegister(state.registers.rflags)
        loadSegmentBases()
        loadFloatingPoint()
    }

    func storeRegisters() {
        state.registers.rax = core.general(0)
        state.registers.rcx = core.general(1)
        state.registers.rdx = core.general(2)
        state.registers.rbx = core.general(3)
        state.registers.rsp = core.general(4)
        state.registers.rbp = core.general(5)
        state.registers.rsi = core.general(6)
        state.registers.rdi = core.general(7)
        state.registers.r8 = core.general(8)
        state.registers.r9 = core.general(9)
        state.registers.r10 = core.general(10)
        state.registers.r11 = core.general(11)
        state.registers.r12 = core.general(12)
        state.registers.r13 = core.general(13)
        state.registers.r14 = core.general(14)
        state.registers.r15 = core.general(15)
        state.registers.rflags = flagsRegister
        storeFloatingPoint()
    }

    /// RFLAGS: the arithmetic flags and DF are in the core, the others in the VMSA.
    var flagsRegister: UInt64 {
        let kept = state.registers.rflags & ~(ArithmeticFlags.all | RFLAGS.direction)
        let down = Int64(bitPattern: core[CoreLayout.direction]) < 0
        return kept | core.flags | (down ? RFLAGS.direction : 0) | 2
    }

    /// Sets all of RFLAGS.
    func setFlagsRegister(_ value: UInt64) {
        core.flags = value
        core[CoreLayout.direction] = value & RFLAGS.direction != 0 ? ~0 : 1
        state.registers.rflags = value & ~(ArithmeticFlags.all | RFLAGS.direction) | 2
    }

    /// Sets RIP, cut to what the mode has.
    func setRIP(_ value: UInt64) {
        state.registers.rip = codeMode == .bits64 ? value : value & 0xffff_ffff
    }

    /// The mode of the code that runs.
    var codeMode: CodeMode {
        if isLongMode && state.registers.cs.attributes & SegmentAttributes.long != 0 { return .bits64 }
        return state.registers.cs.attributes & SegmentAttributes.big != 0 && isProtected ? .bits32 : .bits16
    }
    var isLongMode: Bool { state.registers.efer & EFER.longModeActive != 0 }
    var isProtected: Bool { state.registers.cr0 & CR0.protection != 0 }
    var cpl: UInt8 { state.registers.cpl }

    func nextRIP(after instruction: Instruction) -> UInt64 {
        let rip = state.registers.rip &+ UInt64(instruction.length)
        return codeMode == .bits64 ? rip : rip & 0xffff_ffff
    }
}
