// The buffer of SNP_LAUNCH_FINISH: what the guest's owner vouches for, and the host's data.

/// The command buffer of SNP_LAUNCH_FINISH.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_FINISH
@frozen public struct LaunchFinishBuffer: CommandBuffer {
    /// SNP_LAUNCH_FINISH.
    public static var command: FirmwareCommand { .snpLaunchFinish }
    /// 0x40.
    public static let byteCount = 0x40
    /// The fields; the two addresses may have any offset in their pages.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("ID_BLOCK_PADDR", at: 0x08, byteCount: 8),
        .integer("ID_AUTH_PADDR", at: 0x10, byteCount: 8),
        .integer("FLAGS", at: 0x18, byteCount: 8, reserved: ~7),
        .bytes("HOST_DATA", at: 0x20, byteCount: 32),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer for a launch without an ID block.
    public init(context: SPA, hostData: [UInt8] = []) {
        self.init()
        self.context = context
        self.hostData = hostData
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// ID_BLOCK_PADDR: the ID block.
    public var idBlock: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// ID_AUTH_PADDR: the keys and signatures that vouch for the ID block.
    public var idAuthentication: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// ID_BLOCK_EN, bit 0 of FLAGS: there is an ID block.
    public var idBlockIsEnabled: Bool {
        get { bytes[0x18, bit: 0] }
        set { bytes[0x18, bit: 0] = newValue }
    }
    /// AUTH_KEY_EN, bit 1 of FLAGS: the author key signs the ID key.
    public var authorKeyIsEnabled: Bool {
        get { bytes[0x18, bit: 1] }
        set { bytes[0x18, bit: 1] = newValue }
    }
    /// VCEK_DIS, bit 2 of FLAGS: the guest's reports are not to be signed with the VCEK.
    public var vcekIsDisabled: Bool {
        get { bytes[0x18, bit: 2] }
        set { bytes[0x18, bit: 2] = newValue }
    }
    /// HOST_DATA: 32 bytes that every report of the guest shows.
    public var hostData: [UInt8] {
        get { encoded.field(at: 0x20, byteCount: 32) }
        set {
            var bytes = encoded
            bytes.store(newValue, at: 0x20, limit: 32)
            self.bytes = CommandBytes(bytes)
        }
    }
}
