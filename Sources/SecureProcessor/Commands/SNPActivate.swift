// SNP_ACTIVATE: gives a guest its ASID and installs its key in the memory controller.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_ACTIVATE: pending while the guest is in LAUNCH, active if it is RUNNING.
    ///
    /// - Spec: FWABI 56860, SNP_ACTIVATE
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST (no context),
    ///   INVALID_GUEST_STATE (neither LAUNCH nor RUNNING), INVALID_ASID (2048 or more), INVALID_CONFIG (pages are still
    ///   assigned to the ASID), INVALID_ASID (0, or without a key), ASID_OWNED, ACTIVE (the guest has an ASID),
    ///   DF_FLUSH_REQUIRED (dirty), ASID_OWNED (not clean everywhere), INVALID_ASID (an ASID for plain SEV, or past
    ///   MAX_SNP_ASID)
    /// - Deviates: the machine has one socket, so that the policy's SINGLE_SOCKET never refuses
    mutating func snpActivate(_ buffer: ActivateBuffer) throws(FirmwareStatus) {
        let asid = buffer.asid
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard var guest = guests[pfn] else { throw .invalidGuest }
        guard guest.state == .launching || guest.state == .running else { throw .invalidGuestState }
        guard asid.rawValue < 2048 else { throw .invalidASID }
        guard rmp.assignedPageCount(of: asid) == 0 else { throw .invalidConfig }
        guard asids.contains(asid) else { throw .invalidASID }
        guard asids[asid].inUse | asids[asid].allocated == 0 else { throw .asidOwned }
        guard guest.activation == .inactive else { throw .active }
        guard asids[asid].dirty == 0 else { throw .dfFlushRequired }
        guard asids[asid].clean == asids.everywhere else { throw .asidOwned }
        guard asid.rawValue < firstOtherASID else { throw .invalidASID }
        asids.allocate(asid)
        guest.keyID = memory.encryption.installKey(guest.vek, for: asid)
        guest.asid = asid
        guest.activation = .pending
        if guest.state == .running {
            asids.activate(asid)
            guest.activation = .active
        }
        guests[pfn] = guest
    }
}
