// The buffer of SNP_LAUNCH_UPDATE: one page that becomes part of the launch image.

/// The command buffer of SNP_LAUNCH_UPDATE.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_UPDATE
@frozen public struct LaunchUpdateBuffer: CommandBuffer {
    /// SNP_LAUNCH_UPDATE.
    public static var command: FirmwareCommand { .snpLaunchUpdate }
    /// 0x20.
    public static let byteCount = 0x20
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("FLAGS", at: 0x08, byteCount: 4, reserved: 0xffff_ffe0),
        .reserved(at: 0x0c, byteCount: 4),
        .pageAddress("PAGE_PADDR", at: 0x10),
        .reserved(at: 0x18, byteCount: 1),
        .integer("VMPL1_PERMS", at: 0x19, byteCount: 1),
        .integer("VMPL2_PERMS", at: 0x1a, byteCount: 1),
        .integer("VMPL3_PERMS", at: 0x1b, byteCount: 1),
        .reserved(at: 0x1c, byteCount: 4),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer for a page that VMPL1 to VMPL3 may not touch.
    public init(context: SPA, page: SPA, size: PageSize = .size4K, type: PageType) {
        self.init()
        self.context = context
        self.page = page
        pageSize = size
        pageType = type
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// PAGE_SIZE, bit 0 of FLAGS.
    public var pageSize: PageSize {
        get { bytes[0x08, bit: 0] ? .size2M : .size4K }
        set { bytes[0x08, bit: 0] = newValue == .size2M }
    }
    /// PAGE_TYPE, bits 3:1 of FLAGS.
    public var pageType: PageType {
        get { PageType(rawValue: UInt8(truncatingIfNeeded: bytes[0x08, as: UInt32.self] >> 1 & 7)) }
        set {
            bytes[0x08, as: UInt32.self] = (bytes[0x08, as: UInt32.self] & ~0xe) | (UInt32(newValue.rawValue & 7) << 1)
        }
    }
    /// IMI_PAGE, bit 4 of FLAGS: the page is part of the initial migration image.
    public var isInitialMigrationImagePage: Bool {
        get { bytes[0x08, bit: 4] }
        set { bytes[0x08, bit: 4] = newValue }
    }
    /// PAGE_PADDR: the page.
    public var page: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// VMPL1_PERMS to VMPL3_PERMS. VMPL0 has no field: reading gives nothing, writing has no effect.
    public subscript(_ vmpl: VMPL) -> VMPLPermissions {
        get { vmpl == .vmpl0 ? [] : VMPLPermissions(rawValue: bytes[0x18 + Int(vmpl.rawValue), as: UInt8.self]) }
        set { if vmpl != .vmpl0 { bytes[0x18 + Int(vmpl.rawValue), as: UInt8.self] = newValue.rawValue } }
    }
}
