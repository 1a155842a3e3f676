// SNP_DBG_DECRYPT and SNP_DBG_ENCRYPT: the host looks into a guest whose policy allows it, and writes there.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_DBG_DECRYPT: copies 4 KiB of a guest to a Firmware page in plain.
    ///
    /// - Spec: FWABI 56860, SNP_DBG_DECRYPT
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (an address inside the
    ///   RMP), INVALID_GUEST, INVALID_PAGE_STATE (source not a guest's, destination not Firmware), INVALID_PAGE_OWNER,
    ///   POLICY_FAILURE, INACTIVE, the rules of copy-out
    mutating func snpDbgDecrypt(_ buffer: DebugDecryptBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let source = try debugEntry(at: buffer.source)
        let destination = try entry(at: buffer.destination)
        let guest = try debugGuest(buffer.context)
        let readable: [PageState] = [.preGuest, .preSwap, .guestInvalid, .guestValid]
        guard let source, readable.contains(source.state) else { throw .invalidPageState }
        guard destination?.state == .firmware else { throw .invalidPageState }
        let key = try checkDebug(guest, owner: source.asid)
        let spa = try checkRange(buffer.source, byteCount: 4096)
        var bytes = memory.bytes(spa, count: 4096, key: key)
        if source.vmsa { VMSAFixUp.exchangeProtection(&bytes) }
        try copyOut(bytes, to: buffer.destination)
    }

    /// SNP_DBG_ENCRYPT: copies 4 KiB of the host into a guest's page that firmware holds.
    ///
    /// - Spec: FWABI 56860, SNP_DBG_ENCRYPT
    /// - Throws: in check order: INVALID_PLATFORM_STATE, INVALID_PARAM (reserved bits, an address inside the RMP),
    ///   INVALID_GUEST, INVALID_PAGE_STATE (destination neither Pre-Guest nor Pre-Swap), INVALID_PAGE_OWNER,
    ///   POLICY_FAILURE, INACTIVE, the rules of copy-in
    mutating func snpDbgEncrypt(_ buffer: DebugEncryptBuffer) throws(FirmwareStatus) {
        guard state == .initialized else { throw .invalidPlatformState }
        guard buffer.reservedIsZero else { throw .invalidParam }
        _ = try entry(at: buffer.source)
        let destination = try debugEntry(at: buffer.destination)
        let guest = try debugGuest(buffer.context)
        guard let destination, [.preGuest, .preSwap].contains(destination.state) else { throw .invalidPageState }
        let key = try checkDebug(guest, owner: destination.asid)
        let target = try checkRange(buffer.destination, byteCount: 4096)
        let source = try checkRange(buffer.source, byteCount: 4096)
        var bytes = memory.bytes(source, count: 4096)
        if destination.vmsa { VMSAFixUp.exchangeProtection(&bytes) }
        memory.store(bytes, at: target, key: key)
    }

    private func debugGuest(_ context: SPA) throws(FirmwareStatus) -> GuestRecord {
        guard let guest = guests[try guestFrame(context)] else { throw .invalidGuest }
        return guest
    }

    /// The entry that governs a page: a 4K entry without an ASID stands for the 2M page around it, if there is one.
    private func debugEntry(at spa: SPA) throws(FirmwareStatus) -> RMPEntry? {
        guard let own = try entry(at: spa), own.pageSize == .size4K, own.asid == .host else {
            return try entry(at: spa)
        }
        let head = rmp.entry(frame(of: spa).aligned(down: .size2M))
        return head.pageSize == .size2M ? head : own
    }

    /// - Throws: in check order: INVALID_PAGE_OWNER, POLICY_FAILURE, INACTIVE
    private func checkDebug(_ guest: GuestRecord, owner: ASID) throws(FirmwareStatus) -> KeyID {
        guard owner == guest.asid else { throw .invalidPageOwner }
        guard guest.policy.contains(.debugAllowed) else { throw .policyFailure }
        guard guest.activation != .inactive, let key = guest.keyID else { throw .inactive }
        return key
    }
}
