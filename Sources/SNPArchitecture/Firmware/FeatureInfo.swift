// What SNP_FEATURE_INFO reports: four words as CPUID has them, and the features that the third word of sub-leaf 0 names.

/// What firmware can do: ECX of sub-leaf 0.
///
/// - Spec: FWABI 56860, SNP_FEATURE_INFO
@frozen public struct FirmwareFeatures: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt32
    /// Makes a set.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// SNP_VLEK_LOAD, bit 0.
    @inlinable public static var vlek: Self { Self(rawValue: 1 << 0) }
    /// X86_SNP_SHUTDOWN, bit 1.
    @inlinable public static var x86Shutdown: Self { Self(rawValue: 1 << 1) }
    /// RAPL_DIS, bit 2, newer than firmware 1.55.
    @inlinable public static var raplDisable: Self { Self(rawValue: 1 << 2) }
    /// CIPHERTEXT_HIDING, bit 3, newer than firmware 1.55.
    @inlinable public static var ciphertextHiding: Self { Self(rawValue: 1 << 3) }
    /// The policy bit MEM_AES_256_XTS, bit 4, newer than firmware 1.55.
    @inlinable public static var memoryAES256XTS: Self { Self(rawValue: 1 << 4) }
    /// The policy bit CXL_ALLOW, bit 5, newer than firmware 1.55.
    @inlinable public static var cxlAllow: Self { Self(rawValue: 1 << 5) }
    /// SNP_VERIFY_MITIGATION, bit 13, newer than firmware 1.55.
    @inlinable public static var verifyMitigation: Self { Self(rawValue: 1 << 13) }

    /// Each feature with its name in the ABI document.
    public static let named: [(feature: FirmwareFeatures, name: String)] = [
        (.vlek, "VLEK"), (.x86Shutdown, "X86_SNP_SHUTDOWN"), (.raplDisable, "RAPL_DIS"),
        (.ciphertextHiding, "CIPHERTEXT_HIDING"), (.memoryAES256XTS, "AES_256_XTS_POLICY"),
        (.cxlAllow, "CXL_ALLOW_POLICY"), (.verifyMitigation, "VERIFY_MITIGATION"),
    ]
}

/// What SNP_FEATURE_INFO writes: four words.
///
/// - Spec: FWABI 56860, FEATURE_INFO
public struct FeatureInfo: FirmwareLayout, Hashable, Sendable {
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("EAX", at: 0x00, byteCount: 4), .integer("EBX", at: 0x04, byteCount: 4),
        .integer("ECX", at: 0x08, byteCount: 4), .integer("EDX", at: 0x0c, byteCount: 4),
    ]
    /// Sub-leaf 0: the largest sub-leaf. Sub-leaf 1: a bit for each kind of guest message.
    public var eax: UInt32 = 0
    /// Sub-leaf 0: bit 0 says that legacy SEV commands exist.
    public var ebx: UInt32 = 0
    /// Sub-leaf 0: the features.
    public var ecx: UInt32 = 0
    /// Zero.
    public var edx: UInt32 = 0

    /// Makes words of zero.
    public init() {}
    /// Reads the words.
    public init(decoding bytes: [UInt8]) {
        eax = bytes.integer(at: 0)
        ebx = bytes.integer(at: 4)
        ecx = bytes.integer(at: 8)
        edx = bytes.integer(at: 0xc)
    }
    /// The words as firmware writes them.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        for (index, word) in [eax, ebx, ecx, edx].enumerated() { bytes.store(word, at: index * 4) }
        return bytes
    }
}
