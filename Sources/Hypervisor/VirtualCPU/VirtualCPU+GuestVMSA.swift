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

    /// The frame behind a guest's VMSA: private guest memory. Nil if there is none now.
    func guestVMSAFrame(_ gfn: GFN) -> PFN? {
        let slot = nested.lock.withLock {
            attributes.attribute(of: gfn) == .private ? self.slot(containing: gfn) : nil
        }
        guard let slot, let file = slot.guestMemory else { return nil }
        return backing.withLock { file.folios.frame(at: slot.guestIndex(of: gfn)) }
    }
}

extension VirtualCPU {
    /// Takes another VMSA, or none. Without a page behind it the virtual CPU stays halted, and the guest is not told.
    ///
    /// - Spec: Linux: `sev_snp_init_protected_guest_state()`
    func takeVMSA(_ gfn: GFN?, of machine: VirtualMachine) {
        state = .halted
        vmsaSource = .none
        completion = nil
        guard let gfn, machine.guestVMSAFrame(gfn) != nil else { return }
        vmsaSource = .guest(gfn)
        state = .runnable
    }

    /// The frame of the VMSA for the next entry, or nil if there is none.
    func vmsaFrameForEntry(of machine: VirtualMachine) -> PFN? {
        switch vmsaSource {
        case .launched: machine.slotsLock.withLock { machine.launch.isFinished ? vmsaFrame : nil }
        case .guest(let gfn): machine.guestVMSAFrame(gfn)
        case .none: nil
        }
    }
}
