// Control registers, model-specific registers, and the instructions that an SNP guest may not execute without asking.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func executeSystem(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .movcr: try moveControl(i)
        case .movdr: try moveDebug(i)
        case .smsw:
            try requirePermissionForTables()
            if case .register(var register) = i.operands[0] {
                register.width = i.width
                core[register] = state.registers.cr0
            } else {
                try writeValue(linear(of: i, .write, count: 2), state.registers.cr0 & 0xffff, 2)
            }
        case .lmsw:
            try requireSupervisor()
            let value = try read(0, of: i)
            // PE can be set and not cleared.
            try setCR0(state.registers.cr0 & ~0xe | value & 0xf)
        case .clts:
            try requireSupervisor()
            state.registers.cr0 &= ~CR0.taskSwitched
        case .invlpg:
            try requireSupervisor()
            flushTranslations()
        case .cli, .sti: try setInterruptFlag(i.mnemonic == .sti)
        case .clac, .stac:
            guard cpl == 0 else { throw .exception(.undefined) }
            if i.mnemonic == .stac {
                state.registers.rflags |= RFLAGS.alignmentCheck
            } else {
                state.registers.rflags &= ~RFLAGS.alignmentCheck
            }
            translationsMayHaveChanged()
        case .hlt:
            try requireSupervisor()
            if state.intercepts.contains(.halt) { throw .exit(GuestExit(.halt)) }
        case .nop:
            // PAUSE. The filter lets most of them pass.
            guard state.intercepts.contains(.pause) else { return }
            pauses += 1
            if pauses >= Self.pauseFilter {
                pauses = 0
                throw .exit(GuestExit(.pause))
            }
        case .rdtsc, .rdtscp:
            if state.registers.cr4 & 4 != 0 { try requireSupervisor() }
            let code: ExitCode = i.mnemonic == .rdtsc ? .rdtsc : .rdtscp
            try askHost(code)
            let time = timeStamp
            core.setGeneral(0, time & 0xffff_ffff)
            core.setGeneral(2, time >> 32)
            if i.mnemonic == .rdtscp { core.setGeneral(1, UInt64(state.registers.tscAux)) }
        case .rdpmc:
            if state.registers.cr4 & 0x100 == 0 { try requireSupervisor() }
            try askHost(.rdpmc)
            core.setGeneral(0, 0)
            core.setGeneral(2, 0)
        case .cpuid:
            try askHost(.cpuid)
            for number in 0..<4 { core.setGeneral(number, 0) }
        case .invd:
            try requireSupervisor()
            try askHost(.invd)
        case .wbinvd:
            try requireSupervisor()
            try askHost(.wbinvd)
        case .monitor, .monitorx:
            if i.mnemonic == .monitor { try requireSupervisor() }
            try askHost(.monitor)
        case .mwait, .mwaitx:
            if i.mnemonic == .mwait { try requireSupervisor() }
            try askHost(.mwait)
        case .vmmcall:
            try askHost(.vmmcall)
            throw .exception(.undefined)
        case .vmgexit: throw .exit(GuestExit(.vmgexit))
        case .rdmsr: try readRegister()
        case .wrmsr: try writeRegister()
        case .xgetbv, .xsetbv:
            guard state.registers.cr4 & CR4.osxsave != 0 else { throw .exception(.undefined) }
            let number = core.general(1) & 0xffff_ffff
            guard number == 0 || (number == 1 && i.mnemonic == .xgetbv) else { throw .exception(.protection()) }
            if i.mnemonic == .xgetbv {
                // Number 1: which of the enabled components are in use.
                let value = state.registers.xcr0 & (number == 0 ? ~0 : componentsInUse)
                core.setGeneral(0, value & 0xffff_ffff)
                core.setGeneral(2, value >> 32)
            } else {
                try requireSupervisor()
                let value = core.general(0) & 0xffff_ffff | core.general(2) << 32
                // Only x87 and SSE state exist.
                guard value == 1 || value == 3 else { throw .exception(.protection()) }
                state.registers.xcr0 = value
            }
        default: throw undefined(i)
        }
    }

    /// #VC if the host intercepts what the guest is about to do: a non-automatic exit.
    ///
    /// - Spec: APM2 15.35.5
    func askHost(_ code: ExitCode) throws(Interruption) {
        if state.intercepts.contains(code) { throw .exception(.communication(code)) }
    }

    /// The time-stamp counter: one tick for each instruction.
    var timeStamp: UInt64 { counts.instructions &+ state.registers.tscOffset &+ state.timeStampOffset }

    private func setInterruptFlag(_ isSet: Bool) throws(Interruption) {
        let ioPrivilege = state.registers.rflags >> 12 & 3
        if isProtected, UInt64(cpl) > ioPrivilege { throw .exception(.protection()) }
        if isSet {
            if state.registers.rflags & RFLAGS.interrupt == 0 { shadowNextInstruction() }
            state.registers.rflags |= RFLAGS.interrupt
        } else {
            state.registers.rflags &= ~RFLAGS.interrupt
        }
    }

    // MARK: Control and debug registers

    private func moveControl(_ i: Instruction) throws(Interruption) {
        try requireSupervisor()
        if case .control(let number) = i.operands[1] {
            let value: UInt64
            switch number {
            case 0: value = state.registers.cr0
            case 2: value = state.registers.cr2
            case 3: value = state.registers.cr3
            case 4: value = state.registers.cr4
            default: value = state.registers.vintrControl & 0xf
            }
            return try write(0, of: i, value)
        }
        guard case .control(let number) = i.operands[0] else { throw .exception(.undefined) }
        let value = try read(1, of: i)
        switch number {
        case 0: try setCR0(value)
        case 2: state.registers.cr2 = value
        case 3:
            guard !isLongMode || value >> 52 == 0 else { throw .exception(.protection()) }
            state.registers.cr3 = value
            flushTranslations()
        case 4: try setCR4(value)
        default:
            guard value >> 4 == 0 else { throw .exception(.protection()) }
            state.registers.vintrControl = state.registers.vintrControl & ~0xf | value
            if state.intercepts.contains(.controlRegisterWriteTrap(8)) {
                throw .exit(GuestExit(.controlRegisterWriteTrap(8), info1: value))
            }
        }
    }

    /// - Spec: APM2 3.1.1, 14.6 (entering and leaving long mode)
    private func setCR0(_ value: UInt64) throws(Interruption) {
        guard value >> 32 == 0 else { throw .exception(.protection()) }
        let new = value | 0x10
        guard new & CR0.paging == 0 || new & CR0.protection != 0 else { throw .exception(.protection()) }
        guard new & (1 << 29 | 1 << 30) != 1 << 29 else { throw .exception(.protection()) }
        let r = state.registers
        if new & CR0.paging != 0, r.cr0 & CR0.paging == 0, r.efer & EFER.longMode != 0 {
            guard r.cr4 & CR4.physicalAddressExtension != 0, r.cs.attributes & SegmentAttributes.long == 0 else {
                throw .exception(.protection())
            }
            state.registers.efer |= EFER.longModeActive
        } else if new & CR0.paging == 0, isLongMode {
            guard codeMode != .bits64 else { throw .exception(.protection()) }
            state.registers.efer &= ~EFER.longModeActive
        }
        let old = r.cr0
        state.registers.cr0 = new
        flushTranslations()
        loadSegmentBases()
        // The host hears of changes after they are made.
        if old != new, state.intercepts.contains(.controlRegisterWriteTrap(0)) {
            throw .exit(GuestExit(.controlRegisterWriteTrap(0), info1: new))
        }
    }

    /// All up to OSXMMEXCPT, UMIP, FSGSBASE, OSXSAVE, SMEP and SMAP.
    private static let cr4Writable: UInt64 = 0x0035_0fff

    private func setCR4(_ value: UInt64) throws(Interruption) {
        guard value & ~Self.cr4Writable == 0 else { throw .exception(.protection()) }
        guard !isLongMode || value & CR4.physicalAddressExtension != 0 else { throw .exception(.protection()) }
        let old = state.registers.cr4
        state.registers.cr4 = value
        flushTranslations()
        if old != value, state.intercepts.contains(.controlRegisterWriteTrap(4)) {
            throw .exit(GuestExit(.controlRegisterWriteTrap(4), info1: value))
        }
    }

    private func moveDebug(_ i: Instruction) throws(Interruption) {
        try requireSupervisor()
        if state.registers.dr7 & DR7.generalDetect != 0 {
            state.registers.dr7 &= ~DR7.generalDetect
            state.registers.dr6 |= DR6.access
            throw .exception(GuestException(vector: 1))
        }
        for operand in i.operands {
            if case .debug(let number) = operand, number == 4 || number == 5, state.registers.cr4 & 8 != 0 {
                throw .exception(.undefined)
            }
        }
        if case .debug(let number) = i.operands[1] {
            let value: UInt64
            switch number {
            case 0: value = state.registers.dr0
            case 1: value = state.registers.dr1
            case 2: value = state.registers.dr2
            case 3: value = state.registers.dr3
            case 4, 6: value = state.registers.dr6
            case 5, 7: value = state.registers.dr7
            default: throw .exception(.undefined)
            }
            return try write(0, of: i, value)
        }
        guard case .debug(let number) = i.operands[0] else { throw .exception(.undefined) }
        let value = try read(1, of: i)
        switch number {
        case 0: state.registers.dr0 = value
        case 1: state.registers.dr1 = value
        case 2: state.registers.dr2 = value
        case 3: state.registers.dr3 = value
        case 4, 6:
            guard value >> 32 == 0 else { throw .exception(.protection()) }
            state.registers.dr6 = value & 0xe00f | 0xffff_0ff0
        case 5, 7:
            guard value >> 32 == 0 else { throw .exception(.protection()) }
            state.registers.dr7 = value & ~0xd800 | 0x400
        default: throw .exception(.undefined)
        }
    }

    // MARK: Model-specific registers

    /// The registers that are the guest's own, kept in its VMSA or in the VMCB: no exit. All others are the host's: #VC.
    private func register(_ number: UInt32) -> UInt64? {
        switch number {
        case 0x10: return timeStamp
        case 0x174: return state.registers.sysenterCS
        case 0x175: return state.registers.sysenterESP
        case 0x176: return state.registers.sysenterEIP
        case 0x1d9: return state.registers.debugControl
        case 0x277: return state.registers.gPAT
        case 0x48: return state.registers.specCtrl
        case 0xda0: return state.registers.xss
        case 0xc000_0080: return state.registers.efer & ~EFER.svme
        case 0xc000_0081: return state.registers.star
        case 0xc000_0082: return state.registers.lstar
        case 0xc000_0083: return state.registers.cstar
        case 0xc000_0084: return state.registers.sfmask
        case 0xc000_0100: return state.registers.fs.base
        case 0xc000_0101: return state.registers.gs.base
        case 0xc000_0102: return state.registers.kernelGSBase
        case 0xc000_0103: return UInt64(state.registers.tscAux)
        case 0xc001_0130: return state.ghcb
        case 0xc001_0131: return state.registers.sevFeatures.sevStatus
        default: return nil
        }
    }

    private func readRegister() throws(Interruption) {
        try requireSupervisor()
        let number = UInt32(truncatingIfNeeded: core.general(1))
        guard let value = register(number) else { throw .exception(.communication(.msr)) }
        core.setGeneral(0, value & 0xffff_ffff)
        core.setGeneral(2, value >> 32)
    }

    private func writeRegister() throws(Interruption) {
        try requireSupervisor()
        let number = UInt32(truncatingIfNeeded: core.general(1))
        let value = core.general(0) & 0xffff_ffff | core.general(2) << 32
        switch number {
        case 0x174: state.registers.sysenterCS = value & 0xffff
        case 0x175: state.registers.sysenterESP = try canonical(value)
        case 0x176: state.registers.sysenterEIP = try canonical(value)
        case 0x1d9: state.registers.debugControl = value & 0x3f
        case 0x277:
            for index in 0..<8 as Range<UInt64> {
                guard [0, 1, 4, 5, 6, 7].contains(value >> (index * 8) & 0xff) else { throw .exception(.protection()) }
            }
            state.registers.gPAT = value
        case 0x48: state.registers.specCtrl = value & 0x87
        case 0xda0:
            guard value == 0 else { throw .exception(.protection()) }
        case 0xc000_0080: try setEFER(value)
        case 0xc000_0081: state.registers.star = value
        case 0xc000_0082: state.registers.lstar = try canonical(value)
        case 0xc000_0083: state.registers.cstar = try canonical(value)
        case 0xc000_0084: state.registers.sfmask = value & 0xffff_ffff
        case 0xc000_0100:
            state.registers.fs.base = try canonical(value)
            loadSegmentBases()
        case 0xc000_0101:
            state.registers.gs.base = try canonical(value)
            loadSegmentBases()
        case 0xc000_0102: state.registers.kernelGSBase = try canonical(value)
        case 0xc000_0103: state.registers.tscAux = UInt32(truncatingIfNeeded: value)
        case 0xc001_0130: state.ghcb = value
        case 0xc001_0131: throw .exception(.protection())
        default: throw .exception(.communication(.msr))
        }
    }

    private func canonical(_ value: UInt64) throws(Interruption) -> UInt64 {
        guard Self.isCanonical(value) else { throw .exception(.protection()) }
        return value
    }

    private func setEFER(_ value: UInt64) throws(Interruption) {
        let writable: UInt64 = EFER.syscall | EFER.longMode | EFER.noExecute | EFER.svme | 1 << 14 | 1 << 15
        guard value & ~(writable | EFER.longModeActive) == 0 else { throw .exception(.protection()) }
        let old = state.registers.efer
        if (old ^ value) & EFER.longMode != 0 {
            guard state.registers.cr0 & CR0.paging == 0 else { throw .exception(.protection()) }
        }
        // SVME is always set in an SNP guest's VMSA, whatever it writes.
        let new = value & writable | old & EFER.longModeActive | EFER.svme
        state.registers.efer = new
        flushTranslations()
        if old != new, state.intercepts.contains(.eferWriteTrap) {
            throw .exit(GuestExit(.eferWriteTrap, info1: new & ~EFER.svme))
        }
    }
}
