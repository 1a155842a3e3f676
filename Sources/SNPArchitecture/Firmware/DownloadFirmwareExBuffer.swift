// The buffer of SNP_DOWNLOAD_FIRMWARE_EX: a new image of the firmware itself.

/// The command buffer of SNP_DOWNLOAD_FIRMWARE_EX.
///
/// - Spec: FWABI 56860, SNP_DOWNLOAD_FIRMWARE_EX
@frozen public struct DownloadFirmwareExBuffer: CommandBuffer {
    /// SNP_DOWNLOAD_FIRMWARE_EX.
    public static var command: FirmwareCommand { .snpDownloadFirmwareEx }
    /// 0x18.
    public static let byteCount = 0x18
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .reserved(at: 0x04, byteCount: 4),
        .integer("FW_PADDR", at: 0x08, byteCount: 8),
        .integer("FW_LEN", at: 0x10, byteCount: 4),
        .integer("FLAGS", at: 0x14, byteCount: 4, reserved: 0xffff_fffe),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(image: SPA, imageByteCount: UInt32, commits: Bool = false) {
        self.init()
        length = UInt32(Self.byteCount)
        self.image = image
        self.imageByteCount = imageByteCount
        self.commits = commits
    }

    /// LENGTH: not checked.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// FW_PADDR: the image, a multiple of 32.
    public var image: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// FW_LEN: the size of the image in bytes.
    public var imageByteCount: UInt32 {
        get { bytes[0x10, as: UInt32.self] }
        set { bytes[0x10, as: UInt32.self] = newValue }
    }
    /// COMMIT, bit 0 of FLAGS: commit the new image at once.
    public var commits: Bool {
        get { bytes[0x14, bit: 0] }
        set { bytes[0x14, bit: 0] = newValue }
    }
}
