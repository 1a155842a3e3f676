// VMRUN: checks, the VMSA's registers in, guest code, the registers out, #VMEXIT. For SNP guests only.

internal import SNPArchitecture
internal import Scheduling

extension Machine {
    /// VMRUN: enters an SNP guest and comes back with its exit in the VMCB.
    ///
    /// While the guest runs, its VMSA page is marked in use in the RMP. The registers come from the page decrypted with the
    /// ASID's key and go back to it.
    ///
    /// - Parameters:
    ///   - thread: where to run
    ///   - budget: how many instructions may run before an interrupt; counted down
    /// - Spec: APM3 VMRUN; APM2 15.5, 15.35, 15.36.12
    /// - Returns: in `vmcb.exitCode`, in check order: INVALID (VMRUN not intercepted; nested paging, SEV or SEV-ES off; ASID 0,
    ///   not one of SEV-ES, or without a key; VMSA pointer unaligned or outside DRAM; not a validated VMSA page of 4 KiB of
    ///   this guest), BUSY (in use), INVALID (the registers: see `VMSA.refusal`), BUSY (VINTR_CTRL.BUSY), then the guest's exit
    /// - Deviates: guests that are not SNP-active get INVALID; the order between the VMCB's checks and the VMSA's is not
    ///   confirmed
    public func vmrun(_ vmcb: inout VMCB, on thread: HardwareThread, budget: inout UInt64) {
        schedulePoint(.guestAccess)
        vmcb.exit(GuestExit(.invalid))
        guard vmcb.intercepts.contains(.vmrun) else { return }
        guard vmcb.features.isSuperset(of: .snpGuest) else { return }
        guard vmcb.asid != .host, vmcb.asid <= .maximum else { return }
        guard vmcb.asid.rawValue < configuration.minimumSEVASID else { return }
        guard let key = encryption.key(for: vmcb.asid) else { return }
        guard vmcb.vmsa.pageOffset == 0, memory.contains(vmcb.vmsa, count: 4096) else { return }
        let pfn = vmcb.vmsa.frame
        switch rmp.claimVMSA(pfn, asid: vmcb.asid) {
        case .notAVMSA: return
        case .inUse: return vmcb.exit(GuestExit(.busy))
        case .claimed: break
        }
        defer { rmp.releaseVMSA(pfn) }
        // SAFETY: only the thread that is given runs with its state.
        unsafe enter(&vmcb, pfn, key, on: thread, with: &thread.state.pointee, budget: &budget)
    }

    /// The part of VMRUN that has the VMSA to itself.
    private func enter(
        _ vmcb: inout VMCB, _ pfn: PFN, _ key: KeyID, on thread: HardwareThread, with state: inout VirtualCPUState,
        budget: inout UInt64
    ) {
        memory.load(&state.registers, from: pfn, key: key)
        guard state.registers.refusal == nil, let vmpl = VMPL(rawValue: state.registers.vmpl) else { return }
        guard !state.registers.isMarkedBusy else { return vmcb.exit(GuestExit(.busy)) }
        state.setControls(vmcb, budget: budget)
        let access = thread.access(
            on: self, as: RunningGuest(asid: vmcb.asid, vmpl: vmpl, nestedRoot: vmcb.nestedRoot, key: key))
        access.privilege = state.registers.cpl == 3 ? .user : .supervisor
        switch vmcb.tlbControl {
        case .none: break
        case .flushAll: access.tlb.flush()
        case .flushGuest, .flushGuestLocal: access.tlb.flush(vmcb.asid)
        }
        let exit = thread.processor.run(&state, access, interruptedBy: thread.interrupt)
        state.registers.record(exit)
        memory.store(&state.registers, in: pfn, key: key)
        budget = state.budget
        vmcb.ghcb = state.ghcb
        vmcb.eventInjection = .none
        vmcb.taskPriority = state.registers.taskPriority
        vmcb.interruptShadow = state.interruptShadow
        vmcb.guestInterruptMask = state.registers.rflags.hasBit(9)
        vmcb.exit(exit)
    }
}

extension VirtualCPUState {
    /// Takes over everything that is not in the VMSA, and CR8.
    fileprivate mutating func setControls(_ vmcb: VMCB, budget: UInt64) {
        ghcb = vmcb.ghcb
        intercepts = vmcb.intercepts
        event = vmcb.eventInjection
        timeStampOffset = vmcb.timeStampOffset
        interruptShadow = vmcb.interruptShadow
        wantsInterruptWindow = vmcb.wantsInterruptWindow
        self.budget = budget
        registers.taskPriority = vmcb.taskPriority
    }
}

extension VMCB {
    /// Writes an exit's fields.
    fileprivate mutating func exit(_ exit: GuestExit) {
        exitCode = exit.code
        exitInfo1 = exit.info1
        exitInfo2 = exit.info2
        exitInterruptInfo = exit.interruptInfo
        nextRIP = exit.nextRIP
    }
}

extension VMSA {
    /// CR8. The processor keeps it where the VMSA has the virtual task priority.
    fileprivate var taskPriority: UInt8 {
        get { UInt8(vintrControl & 0xf) }
        set { vintrControl = vintrControl & ~0xff | UInt64(newValue & 0xf) }
    }

    /// Keeps the exit for the guest's own eyes: GUEST_EXITCODE and its companions.
    fileprivate mutating func record(_ exit: GuestExit) {
        guestExitCode = exit.code.rawValue
        guestExitInfo1 = exit.info1
        guestExitInfo2 = exit.info2
        guestExitIntInfo = exit.interruptInfo.rawValue
        guestNRIP = exit.nextRIP
    }
}
