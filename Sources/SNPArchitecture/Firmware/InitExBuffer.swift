// The buffer of SNP_INIT_EX: how the platform is to be initialised.

/// The command buffer of SNP_INIT_EX.
///
/// - Spec: FWABI 56860, SNP_INIT_EX
/// - Deviates: TIO_EN is reserved
@frozen public struct InitExBuffer: CommandBuffer {
    /// SNP_INIT_EX.
    public static var command: FirmwareCommand { .snpInitEx }
    /// 0x40.
    public static let byteCount = 0x40
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("FLAGS", at: 0x00, byteCount: 4, reserved: 0xffff_fff0),
        .reserved(at: 0x04, byteCount: 4),
        .pageAddress("LIST_PADDR", at: 0x08),
        .integer("MAX_SNP_ASID", at: 0x10, byteCount: 2),
        .reserved(at: 0x12, byteCount: 0x2e),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bits that firmware without RAPL_DIS requires to be zero besides.
    public static let raplDisableBits = CommandBytes([1 << 2])
    /// The bits that firmware without ciphertext hiding requires to be zero besides.
    public static let ciphertextHidingBits = CommandBytes(
        [1 << 3] + [UInt8](repeating: 0, count: 0x0f) + [0xff, 0xff])
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer; a range list is enabled where there is one.
    public init(initializeRMP: Bool, rangeList: SPA? = nil) {
        self.init()
        self.initializeRMP = initializeRMP
        rangeListIsEnabled = rangeList != nil
        self.rangeList = rangeList ?? SPA(0)
    }

    /// INIT_RMP, bit 0 of FLAGS: build the RMP anew.
    public var initializeRMP: Bool {
        get { bytes[0x00, bit: 0] }
        set { bytes[0x00, bit: 0] = newValue }
    }
    /// LIST_PADDR_EN, bit 1 of FLAGS: LIST_PADDR points to a range list.
    public var rangeListIsEnabled: Bool {
        get { bytes[0x00, bit: 1] }
        set { bytes[0x00, bit: 1] = newValue }
    }
    /// LIST_PADDR: the page that holds the list of ranges that become HV-Fixed.
    public var rangeList: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// RAPL_DIS, bit 2 of FLAGS, newer than firmware 1.55: the energy counters stay off.
    public var raplIsDisabled: Bool {
        get { bytes[0x00, bit: 2] }
        set { bytes[0x00, bit: 2] = newValue }
    }
    /// CIPHERTEXT_HIDING_EN, bit 3 of FLAGS, newer than firmware 1.55: the host does not see ciphertext of guests.
    public var ciphertextIsHidden: Bool {
        get { bytes[0x00, bit: 3] }
        set { bytes[0x00, bit: 3] = newValue }
    }
    /// MAX_SNP_ASID, newer than firmware 1.55: with hidden ciphertext the largest ASID of SNP guests.
    public var maximumSNPASID: UInt16 {
        get { bytes[0x10, as: UInt16.self] }
        set { bytes[0x10, as: UInt16.self] = newValue }
    }
}
