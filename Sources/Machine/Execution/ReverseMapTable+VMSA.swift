// The RMP's side of VMRUN: may this page be run, and the mark that it is being run.

internal import CPlatform
internal import SNPArchitecture

/// What VMRUN finds at a VMSA pointer.
enum VMSAClaim {
    /// The page is marked in use now, by this VMRUN.
    case claimed
    /// Another processor runs it.
    case inUse
    /// It is not a VMSA of the guest.
    case notAVMSA
}

extension ReverseMapTable {
    /// Marks a VMSA page in use if it is one of this guest: from now on RMPUPDATE and RMPADJUST get FAIL_INUSE.
    ///
    /// The mark changes no access right, so translations of the region are kept.
    ///
    /// - Spec: APM2 15.36.12
    /// - Deviates: the order of the checks cannot be told apart; a VMSA inside a 2 MiB page is refused, unconfirmed
    func claimVMSA(_ pfn: PFN, asid: ASID) -> VMSAClaim {
        guard covers(pfn) else { return .notAVMSA }
        let sequence = waitForRegion(pfn)
        defer { endChange(pfn, sequence &- 2) }
        guard let entry = effectiveEntry(pfn), entry.assigned, entry.pageSize == .size4K else { return .notAVMSA }
        guard entry.asid == asid, !entry.immutable else { return .notAVMSA }
        guard entry.vmsa, entry.validated else { return .notAVMSA }
        guard !entry.locked else { return .inUse }
        var raw = rawEntry(pfn)
        raw.low |= RMPEntryRaw.Low.lock
        storeEntry(raw, pfn)
        return .claimed
    }

    /// Takes the mark away at #VMEXIT.
    func releaseVMSA(_ pfn: PFN) {
        let sequence = waitForRegion(pfn)
        defer { endChange(pfn, sequence &- 2) }
        var raw = rawEntry(pfn)
        raw.low &= ~RMPEntryRaw.Low.lock
        storeEntry(raw, pfn)
    }

    /// Microcode waits for another processor's instruction in the region. No schedule point lies inside one.
    private func waitForRegion(_ pfn: PFN) -> UInt32 {
        while true {
            if let sequence = beginChange(pfn) { return sequence }
            cp_relax()
        }
    }
}
