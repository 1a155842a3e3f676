// The buffer of SNP_SHUTDOWN_EX: how far the platform is to be shut down.

/// The command buffer of SNP_SHUTDOWN_EX.
///
/// - Spec: FWABI 56860, SNP_SHUTDOWN_EX
@frozen public struct ShutdownExBuffer: CommandBuffer {
    /// SNP_SHUTDOWN_EX.
    public static var command: FirmwareCommand { .snpShutdownEx }
    /// 8.
    public static let byteCount = 0x08
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .integer("FLAGS", at: 0x04, byteCount: 4, reserved: 0xffff_fffc),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer of the right length.
    public init(iommuShutdown: Bool, x86Shutdown: Bool = false) {
        self.init()
        length = UInt32(Self.byteCount)
        self.iommuShutdown = iommuShutdown
        self.x86Shutdown = x86Shutdown
    }

    /// LENGTH: must be 8.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// IOMMU_SNP_SHUTDOWN, bit 0 of FLAGS: stop SNP enforcement in the IOMMU; the RMP must be built anew afterwards.
    public var iommuShutdown: Bool {
        get { bytes[0x04, bit: 0] }
        set { bytes[0x04, bit: 0] = newValue }
    }
    /// X86_SNP_SHUTDOWN, bit 1 of FLAGS: clear SYSCFG.SNPEn on every core.
    public var x86Shutdown: Bool {
        get { bytes[0x04, bit: 1] }
        set { bytes[0x04, bit: 1] = newValue }
    }
}
