// MSG_ABSORB_REQ and MSG_ABSORB_NOMA_REQ: a migration image becomes the guest that was exported elsewhere, by its migration
// agent or by itself.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// MSG_ABSORB: a guest in LAUNCH becomes the guest of an image, by its migration agent.
    ///
    /// - Spec: FWABI 56860, MSG_ABSORB_REQ
    /// - Throws: in check order: INVALID_PARAM (reserved bytes), INVALID_GUEST (no context), INVALID_GUEST_STATE (not the
    ///   launch of a migration image), INVALID_MDATA_ENTRY (root entry valid), BAD_MEASUREMENT (the image's IMD is not
    ///   the launch digest), INVALID_PARAM (size, version)
    /// - Deviates: that the requester becomes the agent, as in IMPORT, is unconfirmed
    mutating func answerAbsorb(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x20 + GuestImage.byteCount)
        let spa = SPA(request.integer(at: 0))
        guard spa.pageOffset == 0, request[0x10..<0x20].allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        let image = request.field(at: 0x20, byteCount: GuestImage.byteCount)
        let pfn = try guestFrame(spa)
        guard var guest = guests[pfn], let requester = guests[message.context] else { throw .invalidGuest }
        guard guest.state == .launching, guest.initialMigrationImage else { throw .invalidGuestState }
        guard !GuestImage.rootMetadata(image).isValid else { throw .invalidMetadataEntry }
        guard GuestImage.imageDigest(image) == guest.launchDigest.bytes else { throw .badMeasurement }
        try checkImageHeader(request)
        GuestImage.restore(image, into: &guest)
        guest.migrationAgent = message.context
        guest.migrationAgentReportID = requester.reportID
        run(guest, at: pfn)
        return [UInt8](repeating: 0, count: 0x10)
    }

    /// MSG_ABSORB_NOMA: the guest that asks becomes the guest of an image.
    ///
    /// - Spec: FWABI 56860, MSG_ABSORB_NOMA_REQ
    /// - Throws: in check order: INVALID_PARAM (reserved bytes), INVALID_GUEST (it has a migration agent), BAD_MEASUREMENT
    ///   (the image's IMD is not the launch digest or not its own), INVALID_PARAM (size, version)
    /// - Deviates: the answer is sealed with the key that sealed the request; from then on the image's keys and counts
    ///   hold. Unconfirmed
    mutating func answerAbsorbWithoutAgent(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x20 + GuestImage.byteCount)
        let reserved = request[0..<8] + request[0x10..<0x20]
        guard reserved.allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        let image = request.field(at: 0x20, byteCount: GuestImage.byteCount)
        guard var guest = guests[message.context] else { throw .invalidGuest }
        guard guest.migrationAgent == nil else { throw .invalidGuest }
        guard GuestImage.imageDigest(image) == guest.launchDigest.bytes else { throw .badMeasurement }
        guard GuestImage.imageDigest(image) == guest.imageDigest.bytes else { throw .badMeasurement }
        try checkImageHeader(request)
        GuestImage.restore(image, into: &guest)
        run(guest, at: message.context)
        return [UInt8](repeating: 0, count: 0x10)
    }

    private func checkImageHeader(_ request: [UInt8]) throws(FirmwareStatus) {
        guard request.integer(at: 8) as UInt32 == UInt32(GuestImage.byteCount) else { throw .invalidParam }
        guard request.integer(at: 0xc) as UInt32 == GuestImage.version else { throw .invalidParam }
    }

    /// Lets an absorbed guest run: RUNNING, and active if it was pending.
    private mutating func run(_ absorbed: GuestRecord, at pfn: PFN) {
        var guest = absorbed
        guest.state = .running
        if guest.activation == .pending {
            guest.activation = .active
            asids.activate(guest.asid)
        }
        guests[pfn] = guest
    }
}
