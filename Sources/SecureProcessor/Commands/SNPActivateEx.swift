// SNP_ACTIVATE_EX: gives a guest its ASID on chosen core complexes, and more of them later.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_ACTIVATE_EX: as SNP_ACTIVATE, for the complexes of the listed cores; a second call with the same ASID adds more.
    ///
    /// - Spec: FWABI 56860, SNP_ACTIVATE_EX
    /// - Throws: in check order: INVALID_PARAM (length, reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST,
    ///   INVALID_GUEST_STATE, INVALID_PARAM (number of cores), INVALID_ASID (2048 or more), INVALID_CONFIG (pages are still
    ///   assigned, unless the guest is active), the rules of copy-in, INVALID_PARAM (no such core), INVALID_ASID (0, or
    ///   without a key), ACTIVE (the guest has another ASID), ASID_OWNED (another guest has it), DF_FLUSH_REQUIRED (dirty
    ///   there), ASID_OWNED (not clean there), INVALID_ASID (an ASID for plain SEV, or past MAX_SNP_ASID)
    /// - Deviates: the order from the number of cores on is SNP_ACTIVATE's and unconfirmed here. APIC identifiers are core
    ///   numbers. The machine has one socket, so that SINGLE_SOCKET never refuses
    mutating func snpActivateEx(_ buffer: ActivateExBuffer) throws(FirmwareStatus) {
        let asid = buffer.asid
        guard buffer.length == ActivateExBuffer.byteCount else { throw .invalidParam }
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard var guest = guests[pfn] else { throw .invalidGuest }
        guard guest.state == .launching || guest.state == .running else { throw .invalidGuestState }
        guard (1...1024).contains(buffer.count) else { throw .invalidParam }
        let isFirst = guest.activation == .inactive
        guard asid.rawValue < 2048 else { throw .invalidASID }
        guard !isFirst || rmp.assignedPageCount(of: asid) == 0 else { throw .invalidConfig }
        let wanted = try complexes(at: buffer.list, count: Int(buffer.count))
        guard asids.contains(asid) else { throw .invalidASID }
        guard isFirst || guest.asid == asid else { throw .active }
        let record = asids[asid]
        guard !isFirst || record.inUse | record.allocated == 0 else { throw .asidOwned }
        let new = wanted & ~(record.inUse | record.allocated)
        guard record.dirty & new == 0 else { throw .dfFlushRequired }
        guard record.clean & new == new else { throw .asidOwned }
        guard asid.rawValue < firstOtherASID else { throw .invalidASID }
        asids.allocate(asid, on: new)
        if isFirst {
            guest.keyID = memory.encryption.installKey(guest.vek, for: asid)
            guest.asid = asid
            guest.activation = .pending
        }
        if guest.state == .running {
            asids.activate(asid)
            guest.activation = .active
        }
        guests[pfn] = guest
    }

    /// The complexes of listed cores.
    private func complexes(at spa: SPA, count: Int) throws(FirmwareStatus) -> UInt64 {
        let bytes = memory.bytes(try checkRange(spa, byteCount: count * 4), count: count * 4)
        var mask: UInt64 = 0
        for index in 0..<count {
            let identifier: UInt32 = bytes.integer(at: index * 4)
            guard Int(identifier) < asids.coreCount else { throw .invalidParam }
            mask |= 1 << UInt64(Int(identifier) / asids.coresPerCCX)
        }
        return mask
    }
}
