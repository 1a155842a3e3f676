// The buffer of SNP_VERIFY_MITIGATION and what it writes: which vulnerabilities firmware has checked to be mitigated.

/// The command buffer of SNP_VERIFY_MITIGATION.
///
/// - Spec: FWABI 56860, SNP_VERIFY_MITIGATION
/// - Deviates: the layout is Linux's; unconfirmed by the ABI document
@frozen public struct VerifyMitigationBuffer: CommandBuffer {
    /// SNP_VERIFY_MITIGATION.
    public static var command: FirmwareCommand { .snpVerifyMitigation }
    /// 0x40.
    public static let byteCount = 0x40
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .integer("SUBCOMMAND", at: 0x04, byteCount: 2),
        .reserved(at: 0x06, byteCount: 2),
        .integer("VECTOR", at: 0x08, byteCount: 8),
        .integer("FLAGS", at: 0x10, byteCount: 4, reserved: 0xffff_fffc),
        .reserved(at: 0x14, byteCount: 4),
        .integer("SRC_PADDR", at: 0x18, byteCount: 8),
        .integer("DST_PADDR", at: 0x20, byteCount: 8),
        .reserved(at: 0x28, byteCount: 0x18),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer of the right length; the destination is enabled where there is one.
    public init(subcommand: UInt16, vector: UInt64 = 0, destination: SPA? = nil) {
        self.init()
        length = UInt32(Self.byteCount)
        self.subcommand = subcommand
        self.vector = vector
        destinationIsEnabled = destination != nil
        self.destination = destination ?? SPA(0)
    }

    /// Reports what is verified and what can be.
    public static let reportStatus: UInt16 = 0
    /// Verifies the mitigations of the vector.
    public static let verify: UInt16 = 1

    /// LENGTH: must be 0x40.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// SUBCOMMAND: `reportStatus` or `verify`.
    public var subcommand: UInt16 {
        get { bytes[0x04, as: UInt16.self] }
        set { bytes[0x04, as: UInt16.self] = newValue }
    }
    /// VECTOR: a bit for each mitigation to verify.
    public var vector: UInt64 {
        get { bytes[0x08, as: UInt64.self] }
        set { bytes[0x08, as: UInt64.self] = newValue }
    }
    /// DST_PADDR_EN, bit 0 of FLAGS.
    public var destinationIsEnabled: Bool {
        get { bytes[0x10, bit: 0] }
        set { bytes[0x10, bit: 0] = newValue }
    }
    /// SRC_PADDR_EN, bit 1 of FLAGS.
    public var sourceIsEnabled: Bool {
        get { bytes[0x10, bit: 1] }
        set { bytes[0x10, bit: 1] = newValue }
    }
    /// SRC_PADDR.
    public var source: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
    /// DST_PADDR: where the status goes.
    public var destination: SPA {
        get { SPA(bytes[0x20, as: UInt64.self]) }
        set { bytes[0x20, as: UInt64.self] = newValue.rawValue }
    }
}

/// What SNP_VERIFY_MITIGATION writes.
///
/// - Spec: FWABI 56860, SNP_VERIFY_MITIGATION
/// - Deviates: the layout is Linux's; unconfirmed by the ABI document
public struct MitigationStatus: FirmwareLayout, Hashable, Sendable {
    /// 0x18.
    public static let byteCount = 0x18
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("MIT_VERIFIED_VECTOR", at: 0x00, byteCount: 8),
        .integer("MIT_SUPPORTED_VECTOR", at: 0x08, byteCount: 8),
        .integer("MIT_FAILURE_STATUS", at: 0x10, byteCount: 4),
        .reserved(at: 0x14, byteCount: 4),
    ]
    /// A bit for each mitigation that was verified.
    public var verified: UInt64
    /// A bit for each mitigation that this firmware can verify.
    public var supported: UInt64
    /// Why the last verification failed, 0 if it did not.
    public var failure: UInt32

    /// Makes a status.
    public init(verified: UInt64, supported: UInt64, failure: UInt32 = 0) {
        self.verified = verified
        self.supported = supported
        self.failure = failure
    }
    /// Reads a status.
    public init(decoding bytes: [UInt8]) {
        self.init(
            verified: bytes.integer(at: 0), supported: bytes.integer(at: 8), failure: bytes.integer(at: 0x10))
    }
    /// The status as firmware writes it.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(verified, at: 0)
        bytes.store(supported, at: 8)
        bytes.store(failure, at: 0x10)
        return bytes
    }
}
