// The buffer of SNP_VLEK_LOAD: a loaded endorsement key, wrapped for this chip.

/// The command buffer of SNP_VLEK_LOAD.
///
/// - Spec: FWABI 56860, SNP_VLEK_LOAD
@frozen public struct VLEKLoadBuffer: CommandBuffer {
    /// SNP_VLEK_LOAD.
    public static var command: FirmwareCommand { .snpVLEKLoad }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .integer("VLEK_WRAPPED_VERSION", at: 0x04, byteCount: 1),
        .reserved(at: 0x05, byteCount: 3),
        .integer("VLEK_WRAPPED_PADDR", at: 0x08, byteCount: 8),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(wrapped: SPA) {
        self.init()
        length = UInt32(Self.byteCount)
        self.wrapped = wrapped
    }

    /// LENGTH: must be 0x10.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// VLEK_WRAPPED_VERSION: must be 0.
    public var version: UInt8 {
        get { bytes[0x04, as: UInt8.self] }
        set { bytes[0x04, as: UInt8.self] = newValue }
    }
    /// VLEK_WRAPPED_PADDR: the wrapped key, 0x1b0 bytes.
    public var wrapped: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
