// PAGE_INFO: the structure whose hash extends the launch digest by one 4 KiB page.

/// What the launch digest takes in for one page. The new digest is the SHA-384 of these 0x70 bytes.
///
/// - Spec: FWABI 56860, PAGE_INFO
/// - Deviates: the VMPL permissions stand in the order of firmware 1.55 (reserved byte, VMPL1, VMPL2, VMPL3); some
///   tools write them the other way round. The two agree while all permissions are zero.
public struct PageInfo: FirmwareLayout, Hashable, Sendable {
    /// 0x70.
    public static let byteCount = 0x70
    /// The fields.
    public static let fields: [LayoutField] = [
        .bytes("DIGEST_CUR", at: 0x00, byteCount: 48),
        .bytes("CONTENTS", at: 0x30, byteCount: 48),
        .integer("LENGTH", at: 0x60, byteCount: 2),
        .integer("PAGE_TYPE", at: 0x62, byteCount: 1),
        .integer("IMI_PAGE", at: 0x63, byteCount: 1, reserved: 0xfe),
        .reserved(at: 0x64, byteCount: 1),
        .integer("VMPL1_PERMS", at: 0x65, byteCount: 1),
        .integer("VMPL2_PERMS", at: 0x66, byteCount: 1),
        .integer("VMPL3_PERMS", at: 0x67, byteCount: 1),
        .integer("GPA", at: 0x68, byteCount: 8),
    ]
    /// DIGEST_CUR: the digest before this page, 48 bytes.
    public var currentDigest: [UInt8]
    /// CONTENTS: the SHA-384 of the page, or zeros for a type whose content is not measured.
    public var contents: [UInt8]
    /// LENGTH: 0x70.
    public var length: UInt16
    /// PAGE_TYPE.
    public var pageType: PageType
    /// IMI_PAGE.
    public var isInitialMigrationImagePage: Bool
    /// The permissions of VMPL1, VMPL2 and VMPL3; VMPL0's byte is not part of the structure.
    public var permissions: VMPLPermissionSet
    /// GPA: where the guest sees the page.
    public var gpa: GPA

    /// Makes the structure for one page.
    public init(
        currentDigest: [UInt8], contents: [UInt8], pageType: PageType, isInitialMigrationImagePage: Bool = false,
        permissions: VMPLPermissionSet = VMPLPermissionSet(rawValue: 0), gpa: GPA
    ) {
        self.currentDigest = currentDigest
        self.contents = contents
        length = UInt16(Self.byteCount)
        self.pageType = pageType
        self.isInitialMigrationImagePage = isInitialMigrationImagePage
        self.permissions = permissions
        self.gpa = gpa
    }

    /// Reads the structure.
    public init(decoding bytes: [UInt8]) {
        currentDigest = bytes.field(at: 0x00, byteCount: 48)
        contents = bytes.field(at: 0x30, byteCount: 48)
        length = bytes.integer(at: 0x60)
        pageType = PageType(rawValue: bytes[0x62])
        isInitialMigrationImagePage = bytes[0x63] & 1 != 0
        permissions = VMPLPermissionSet(rawValue: bytes.integer(at: 0x64, as: UInt32.self) & ~0xff)
        gpa = GPA(bytes.integer(at: 0x68))
    }

    /// The structure as it is hashed.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(currentDigest, at: 0x00, limit: 48)
        bytes.store(contents, at: 0x30, limit: 48)
        bytes.store(length, at: 0x60)
        bytes[0x62] = pageType.rawValue
        bytes[0x63] = isInitialMigrationImagePage ? 1 : 0
        bytes.store(permissions.rawValue & ~0xff, at: 0x64)
        bytes.store(gpa.rawValue, at: 0x68)
        return bytes
    }
}
