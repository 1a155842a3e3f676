// The image of a guest's context that migration agents carry from one platform to another.

internal import SNPArchitecture

/// An exported guest context, 0x300 bytes.
///
/// - Spec: FWABI 56860, MSG_EXPORT_RSP
enum GuestImage {
    static let byteCount = 0x300
    static let version: UInt32 = 3

    /// The image of a guest.
    ///
    /// - Deviates: the four message counts stand at 1C0 with eight bytes each, and the guest state's byte is its number
    static func encode(_ guest: GuestRecord) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        bytes.store(guest.launchDigest.bytes, at: 0x000, limit: 48)
        bytes.store(guest.oek, at: 0x030, limit: 32)
        for (index, key) in guest.vmpck.enumerated() { bytes.store(key, at: 0x050 + index * 32, limit: 32) }
        bytes.store(guest.vmrk, at: 0x0d0, limit: 32)
        bytes.store(guest.hostData, at: 0x0f0, limit: 32)
        bytes.store(guest.idKeyDigest, at: 0x110, limit: 48)
        bytes.store(guest.authorKeyDigest, at: 0x140, limit: 48)
        bytes.store(guest.reportID, at: 0x170, limit: 32)
        bytes.store(guest.imageDigest.bytes, at: 0x190, limit: 48)
        for (index, count) in guest.messageCounts.enumerated() { bytes.store(count, at: 0x1c0 + index * 8) }
        bytes.store(guest.rootMetadata.encoded, at: 0x1e0, limit: 64)
        var flags: UInt64 = 0
        if guest.authorKeyIsEnabled { flags |= 1 }
        if guest.idBlock != nil { flags |= 2 }
        if guest.vcekIsDisabled { flags |= 4 }
        bytes.store(flags, at: 0x220)
        bytes.store(guest.policy.rawValue, at: 0x228)
        bytes[0x230] = guest.state.rawValue
        bytes.store(guest.oekCount, at: 0x238)
        bytes.store(guest.idBlock?.encoded ?? [], at: 0x240, limit: 0x60)
        bytes.store(guest.gosvw, at: 0x2a0, limit: 16)
        bytes.store(guest.desiredTSCKilohertz, at: 0x2b0)
        bytes.store(guest.launchTCB.rawValue, at: 0x2c0)
        return bytes
    }

    /// Makes a guest what an image says. VCEK_DIS is not taken over.
    static func restore(_ bytes: [UInt8], into guest: inout GuestRecord) {
        if let digest = LaunchDigest(bytes.field(at: 0x000, byteCount: 48)) { guest.launchDigest = digest }
        guest.oek = bytes.field(at: 0x030, byteCount: 32)
        guest.vmpck = (0..<4).map { bytes.field(at: 0x050 + $0 * 32, byteCount: 32) }
        guest.vmrk = bytes.field(at: 0x0d0, byteCount: 32)
        guest.hostData = bytes.field(at: 0x0f0, byteCount: 32)
        guest.idKeyDigest = bytes.field(at: 0x110, byteCount: 48)
        guest.authorKeyDigest = bytes.field(at: 0x140, byteCount: 48)
        if let digest = LaunchDigest(bytes.field(at: 0x190, byteCount: 48)) { guest.imageDigest = digest }
        guest.messageCounts = (0..<4).map { bytes.integer(at: 0x1c0 + $0 * 8) }
        guest.rootMetadata = MetadataEntry(decoding: bytes.field(at: 0x1e0, byteCount: 64))
        let flags: UInt64 = bytes.integer(at: 0x220)
        guest.authorKeyIsEnabled = flags & 1 != 0
        guest.policy = GuestPolicy(rawValue: bytes.integer(at: 0x228))
        guest.oekCount = bytes.integer(at: 0x238)
        guest.idBlock = flags & 2 != 0 ? IDBlock(decoding: bytes.field(at: 0x240, byteCount: 0x60)) : nil
        guest.gosvw = bytes.field(at: 0x2a0, byteCount: 16)
        guest.desiredTSCKilohertz = bytes.integer(at: 0x2b0)
        guest.launchTCB = TCBVersion(rawValue: bytes.integer(at: 0x2c0))
    }

    /// The digest of the initial migration image that the image names.
    static func imageDigest(_ bytes: [UInt8]) -> [UInt8] { bytes.field(at: 0x190, byteCount: 48) }

    /// What the image holds as its root metadata entry.
    static func rootMetadata(_ bytes: [UInt8]) -> MetadataEntry {
        MetadataEntry(decoding: bytes.field(at: 0x1e0, byteCount: 64))
    }
}
