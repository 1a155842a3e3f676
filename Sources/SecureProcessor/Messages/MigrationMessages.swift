// The messages of migration agents: a guest that speaks for others when they leave a platform or arrive.
//
// EXPORT, IMPORT and VMRK; ABSORB and ABSORB_NOMA are in a file of their own.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// MSG_EXPORT: the image of a running guest, for its migration agent or for itself.
    ///
    /// With IMI_EN the guest stays and its root metadata entry is zero in the image; without it the guest ends.
    ///
    /// - Spec: FWABI 56860, MSG_EXPORT_REQ
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_GUEST (no context), INVALID_GUEST_STATE (not
    ///   RUNNING), INVALID_GUEST (neither agent nor the guest itself without an agent; itself not by VMPCK0)
    /// - Deviates: a guest that exports itself without IMI_EN ends before its answer is counted; unconfirmed
    mutating func answerExport(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x10)
        let flags: UInt32 = request.integer(at: 8)
        let spa = SPA(request.integer(at: 0))
        guard spa.pageOffset == 0, flags & ~1 == 0, request.integer(at: 0xc) as UInt32 == 0 else {
            throw .invalidParam
        }
        let pfn = try guestFrame(spa)
        guard let guest = guests[pfn], let requester = guests[message.context] else { throw .invalidGuest }
        guard guest.state == .running else { throw .invalidGuestState }
        if pfn == message.context {
            guard guest.migrationAgent == nil, message.vmpck == 0 else { throw .invalidGuest }
        } else {
            guard isAgent(message.context, requester, of: guest) else { throw .invalidGuest }
        }
        var image = GuestImage.encode(guest)
        if flags & 1 != 0 {
            image.store([UInt8](repeating: 0, count: 64), at: 0x1e0, limit: 64)
        } else {
            try snpDecommission(DecommissionBuffer(context: spa))
        }
        var response = [UInt8](repeating: 0, count: 0xfa0)
        response.store(UInt32(GuestImage.byteCount), at: 4)
        response.store(GuestImage.version, at: 8)
        response.store(image, at: 0x20, limit: GuestImage.byteCount)
        return response
    }

    /// MSG_IMPORT: a new context becomes the guest of an image, with the requester as its agent.
    ///
    /// - Spec: FWABI 56860, MSG_IMPORT_REQ
    /// - Throws: in check order: INVALID_PARAM (reserved bytes, size, version), INVALID_GUEST (no context),
    ///   INVALID_GUEST_STATE (not INIT), INVALID_MDATA_ENTRY (root entry not valid)
    mutating func answerImport(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x20 + GuestImage.byteCount)
        let spa = SPA(request.integer(at: 0))
        guard spa.pageOffset == 0, request[0x10..<0x20].allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        guard request.integer(at: 8) as UInt32 == UInt32(GuestImage.byteCount) else { throw .invalidParam }
        guard request.integer(at: 0xc) as UInt32 == GuestImage.version else { throw .invalidParam }
        let image = request.field(at: 0x20, byteCount: GuestImage.byteCount)
        let pfn = try guestFrame(spa)
        guard var guest = guests[pfn], let requester = guests[message.context] else { throw .invalidGuest }
        guard guest.state == .initialized else { throw .invalidGuestState }
        guard GuestImage.rootMetadata(image).isValid else { throw .invalidMetadataEntry }
        GuestImage.restore(image, into: &guest)
        guest.reportID = random(32)
        guest.migrationAgent = message.context
        guest.migrationAgentReportID = requester.reportID
        guest.state = .running
        guests[pfn] = guest
        guestCount += 1
        return [UInt8](repeating: 0, count: 0x10)
    }

    /// MSG_VMRK: an agent gives a guest that it launches its root of derived keys.
    ///
    /// - Spec: FWABI 56860, MSG_VMRK_REQ
    /// - Throws: in check order: INVALID_PARAM (reserved bytes), INVALID_GUEST (not VMPCK0, no context),
    ///   INVALID_GUEST_STATE (not LAUNCH, or the launch of a migration image), INVALID_GUEST (not the agent)
    mutating func answerVMRK(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x40)
        let spa = SPA(request.integer(at: 0))
        guard spa.pageOffset == 0, request[0x08..<0x20].allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        guard message.vmpck == 0 else { throw .invalidGuest }
        let pfn = try guestFrame(spa)
        guard let guest = guests[pfn], let requester = guests[message.context] else { throw .invalidGuest }
        guard guest.state == .launching, !guest.initialMigrationImage else { throw .invalidGuestState }
        guard isAgent(message.context, requester, of: guest) else { throw .invalidGuest }
        guests[pfn]?.vmrk = request.field(at: 0x20, byteCount: 32)
        return [UInt8](repeating: 0, count: 0x10)
    }

    /// Whether a guest is another's agent: its address and its report identifier must match.
    private func isAgent(_ context: PFN, _ agent: GuestRecord, of guest: GuestRecord) -> Bool {
        guest.migrationAgent == context && guest.migrationAgentReportID == agent.reportID
    }
}
