// A VMSA that the guest made itself: who may give one to whom, and what frame is behind it at each entry.

internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

extension VirtualMachine {
    /// SNP AP Creation: gives a virtual CPU a VMSA of the guest's own, or takes its VMSA away.
    ///
    /// Whether the page is a VMSA at all is VMRUN's to check.
    ///
    /// - Parameters:
    ///   - request: bits 31:0 of SW_EXITINFO1, the VMPL included
    ///   - features: RAX, nil when the guest has not said it is valid
    /// - Returns: false for malformed input, with the target untouched; checked in this order: APIC identifier unknown, request
    ///   unknown, features not the machine's, GPA not page aligned or too large, GPA 2 MiB aligned (a processor takes a large
    ///   mapping for a violation beside a VMSA in use that is)
    /// - Spec: GHCB 56421, "SNP AP Creation"; Linux: `sev_snp_ap_creation()`
    /// - Deviates: a VMPL other than 0 in bits 19:16 makes the request unknown, as in Linux
    func createAP(_ request: UInt32, apicID: UInt32, vmsa gpa: GPA, features: UInt64?) -> Bool {
        let found = nested.lock.withLock { virtualCPUs.first { $0.id == apicID } }
        guard let target = found else { return false }
        guard let kind = UInt16(exactly: request).map(APCreationKind.init(rawValue:)) else { return false }
        guard [.createOnInit, .create, .destroy].contains(kind) else { return false }
        if host.has(.refusedCreationStops) { target.request { $0.newVMSA = .some(.none) } }
        guard kind != .destroy else {
            target.request { $0.newVMSA = .some(.none) }
            return true
        }
        guard features == vmsaFeatures else { return false }
        guard gpa.pageOffset == 0, gpa.rawValue < 1 << 51 else { return false }
        guard !gpa.isAligned(to: .size2M) else { return false }
        if kind == .create {
            target.request { $0.newVMSA = .some(gpa.frame) }
        } else {
            target.requests.withLock { $0.vmsaAtInit = .some(gpa.frame) }
        }
        return true
    }

    /// SEV_FEATURES of every VMSA of this machine. It does not change after SEV_INIT2.
    var vmsaFeatures: UInt64 { launch.vmsaFeatures }

    /// The frame behind a guest's VMSA: private guest memory. Nil if there is none now. Caller holds `backing`.
    private func guestVMSAFrame(_ gfn: GFN) -> PFN? {
        let slot = nested.lock.withLock {
            attributes.attribute(of: gfn) == .private ? self.slot(containing: gfn) : nil
        }
        guard let slot, let file = slot.guestMemory else { return nil }
        return file.folios.frame(at: slot.guestIndex(of: gfn))
    }

    func hasGuestVMSA(at gfn: GFN) -> Bool { backing.withLock { guestVMSAFrame(gfn) } != nil }

    /// Finds the frame of a guest's VMSA and notes that the virtual CPU enters with it, in one step: an invalidation either
    /// sees the note or is seen here.
    fileprivate func enterGuestVMSA(_ gfn: GFN, _ cpu: VirtualCPU) -> VMSAEntry {
        backing.withLock {
            guard let pfn = guestVMSAFrame(gfn) else { return .none }
            return nested.lock.withLock {
                guard !nested.isInvalidating(gfn) else { return .wait }
                cpu.enteredVMSA = gfn
                nested.guestVMSACount.add(1, ordering: .relaxed)
                return .frame(pfn)
            }
        }
    }

    fileprivate func leaveGuestVMSA(_ cpu: VirtualCPU) {
        nested.lock.withLock {
            guard cpu.enteredVMSA != nil else { return }
            cpu.enteredVMSA = nil
            nested.guestVMSACount.subtract(1, ordering: .relaxed)
        }
    }

    /// Gets virtual CPUs whose VMSAs lie in the frames out of the guest, inside an invalidation bracket: while one runs, its
    /// page is in use and RMPUPDATE would be refused. None enters again before the bracket's end.
    ///
    /// - Spec: Linux: `kvm_make_all_cpus_request()` for a VMSA whose page is invalidated
    func expelVMSAs(in frames: Range<GFN>) {
        while true {
            let inside = nested.lock.withLock {
                virtualCPUs.filter { cpu in cpu.enteredVMSA.map { frames.contains($0) } == true }
            }
            guard !inside.isEmpty else { return }
            for cpu in inside { cpu.interrupt.raise() }
            schedulePoint(.yield)
        }
    }
}

/// What a virtual CPU enters the guest with.
enum VMSAEntry {
    /// This frame's VMSA.
    case frame(PFN)
    /// A page that is being invalidated: try again.
    case wait
    /// No VMSA.
    case none
}

extension VirtualCPU {
    /// Takes another VMSA, or none. Without a page behind it the virtual CPU stays halted, and the guest is not told.
    ///
    /// - Spec: Linux: `sev_snp_init_protected_guest_state()`
    func takeVMSA(_ gfn: GFN?, of machine: VirtualMachine) {
        state = .halted
        vmsaSource = .none
        completion = nil
        interruptState.enterOtherState()
        guard let gfn, machine.hasGuestVMSA(at: gfn) else { return }
        vmsaSource = .guest(gfn)
        state = .runnable
    }

    /// What to enter the guest with. Followed by `leave`.
    func enter(_ machine: VirtualMachine) -> VMSAEntry {
        switch vmsaSource {
        case .launched:
            machine.slotsLock.withLock { machine.launch.isFinished ? vmsaFrame : nil }.map { .frame($0) } ?? .none
        case .guest(let gfn): machine.enterGuestVMSA(gfn, self)
        case .none: .none
        }
    }

    /// Ends what `enter` began.
    func leave(_ machine: VirtualMachine) {
        if case .guest = vmsaSource { machine.leaveGuestVMSA(self) }
    }
}
