// The ID block: what the guest's owner says the guest is.

/// An ID block, as the guest's owner signs it.
///
/// - Spec: FWABI 56860, ID_BLOCK
public struct IDBlock: FirmwareLayout, Hashable, Sendable {
    /// 0x60.
    public static let byteCount = 0x60
    /// The fields.
    public static let fields: [LayoutField] = [
        .bytes("LD", at: 0x00, byteCount: 48),
        .bytes("FAMILY_ID", at: 0x30, byteCount: 16),
        .bytes("IMAGE_ID", at: 0x40, byteCount: 16),
        .integer("VERSION", at: 0x50, byteCount: 4),
        .integer("GUEST_SVN", at: 0x54, byteCount: 4),
        .integer("POLICY", at: 0x58, byteCount: 8),
    ]
    /// LD: the launch digest to expect, 48 bytes.
    public var launchDigest: [UInt8]
    /// FAMILY_ID, 16 bytes.
    public var familyID: [UInt8]
    /// IMAGE_ID, 16 bytes.
    public var imageID: [UInt8]
    /// VERSION: 1. Firmware 1.55 does not check it.
    public var version: UInt32
    /// GUEST_SVN: the guest's security version.
    public var guestSVN: UInt32
    /// POLICY: the policy to expect.
    public var policy: GuestPolicy

    /// Makes a block of version 1.
    public init(
        launchDigest: [UInt8], familyID: [UInt8] = [UInt8](repeating: 0, count: 16),
        imageID: [UInt8] = [UInt8](repeating: 0, count: 16), guestSVN: UInt32 = 0, policy: GuestPolicy
    ) {
        self.launchDigest = launchDigest
        self.familyID = familyID
        self.imageID = imageID
        version = 1
        self.guestSVN = guestSVN
        self.policy = policy
    }

    /// Reads a block.
    public init(decoding bytes: [UInt8]) {
        launchDigest = bytes.field(at: 0, byteCount: 48)
        familyID = bytes.field(at: 0x30, byteCount: 16)
        imageID = bytes.field(at: 0x40, byteCount: 16)
        version = bytes.integer(at: 0x50)
        guestSVN = bytes.integer(at: 0x54)
        policy = GuestPolicy(rawValue: bytes.integer(at: 0x58))
    }

    /// The block's bytes: what the ID key signs.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(launchDigest, at: 0, limit: 48)
        bytes.store(familyID, at: 0x30, limit: 16)
        bytes.store(imageID, at: 0x40, limit: 16)
        bytes.store(version, at: 0x50)
        bytes.store(guestSVN, at: 0x54)
        bytes.store(policy.rawValue, at: 0x58)
        return bytes
    }
}
