// PVALIDATE, RMPADJUST and RMPQUERY: the guest's own instructions on the RMP, with a linear address in RAX.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    /// - Spec: APM3 PVALIDATE, RMPADJUST, RMPQUERY
    /// - Throws: in check order: #UD outside 64-bit and protected mode, #GP above CPL 0 or for a size other than 0 and 1, #PF of
    ///   the address, and what the instruction's own fault is
    /// - Deviates: RMPADJUST and RMPQUERY are #UD outside 64-bit mode; PVALIDATE takes rAX of the address size
    func executeRMP(_ i: Instruction) throws(Interruption) {
        guard i.mnemonic == .pvalidate ? isProtected : codeMode == .bits64 else { throw .exception(.undefined) }
        try requireSupervisor()
        guard let memory else { return }
        var address = core.general(0)
        if i.addressWidth == .double { address &= 0xffff_ffff }
        try checkCanonical(address, 1)
        let size: PageSize
        switch core.general(1) & (i.mnemonic == .pvalidate ? 0xffff_ffff : ~0) {
        case 0: size = .size4K
        case 1: size = .size2M
        default:
            if i.mnemonic == .rmpquery {
                size = .size4K
            } else {
                return setStatus(RMPStatus.failInput.rawValue)
            }
        }
        let translated = try translate(address, .read)
        let asid = memory.context.asid
        let vmpl = memory.context.vmpl
        do throws(GuestInstructionFailure) {
            let page: GuestPage
            do throws(GuestFault) { page = try memory.resolve(translated.gpa) } catch { throw .fault(error) }
            let named = GuestPage(gpa: page.gpa, pfn: page.pfn, level: page.level)
            switch i.mnemonic {
            case .pvalidate:
                let changed = try memory.rmp.pvalidate(
                    named, size: size, validate: core.general(2) & 1 != 0, asid: asid, vmpl: vmpl)
                setStatus(0)
                core.flags = core.flags & ~1 | (changed ? 0 : 1)
            case .rmpadjust:
                let attributes = core.general(2)
                guard let target = VMPL(rawValue: UInt8(truncatingIfNeeded: attributes)) else {
                    return setStatus(RMPStatus.failPermission.rawValue)
                }
                try memory.rmp.rmpAdjust(
                    named, size: size, target: target,
                    permissions: VMPLPermissions(rawValue: UInt8(truncatingIfNeeded: attributes >> 8)),
                    vmsa: attributes >> 16 & 1 != 0, asid: asid, vmpl: vmpl)
                setStatus(0)
            default:
                guard let target = VMPL(rawValue: UInt8(truncatingIfNeeded: core.general(2))) else {
                    return setStatus(RMPStatus.failPermission.rawValue)
                }
                let found = try memory.rmp.rmpQuery(named, target: target, asid: asid, vmpl: vmpl)
                setStatus(0)
                core.setGeneral(
                    2, UInt64(target.rawValue) | UInt64(found.permissions.rawValue) << 8 | (found.vmsa ? 1 << 16 : 0))
                core.setGeneral(1, found.size == .size2M ? 1 : 0)
            }
            // Translations that were checked against the old entry are gone.
            flushTranslations()
        } catch {
            switch error {
            case .status(let status): setStatus(status.rawValue)
            case .fault(let fault): throw interruption(fault)
            }
        }
    }

    /// EAX, and the flags that follow from it.
    private func setStatus(_ status: some BinaryInteger) {
        let value = UInt64(status)
        core.setGeneral(0, value)
        // CF is cleared unless PVALIDATE changed nothing; ZF, SF and PF tell of EAX; OF and AF are cleared.
        core.flags = (value == 0 ? 0x40 : 0) | (value.nonzeroBitCount & 1 == 0 ? 4 : 0)
    }
}
