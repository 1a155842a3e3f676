// What firmware (BIOS) and CPUID tell a kernel of the machine before SNP is on: the memory map, the features, the IOMMUs.

public import SNPArchitecture

/// What a row of the memory map is.
public enum MemoryMapKind: String, CaseIterable, Sendable {
    /// Kept by BIOS; the RMP is.
    case reserved
    /// ACPI tables.
    case acpi
    /// Memory that keeps its contents.
    case persistent
}

/// A row of the memory map that is no usable DRAM.
public struct MemoryMapEntry: Hashable, Sendable {
    /// The frames.
    public var frames: Range<PFN>
    /// What they are.
    public var kind: MemoryMapKind
    /// Makes a row.
    public init(_ frames: Range<PFN>, _ kind: MemoryMapKind = .reserved) {
        self.frames = frames
        self.kind = kind
    }
}

/// The features of memory encryption in CPUID 8000_001F EAX.
///
/// - Spec: APM3 E.4.17
/// - Deviates: the bit of the segmented RMP is unconfirmed
public struct MemoryEncryptionFeatures: OptionSet, Hashable, Sendable {
    /// EAX.
    public var rawValue: UInt32
    /// Makes features of EAX.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// SME, bit 0.
    public static let sme = Self(rawValue: 1 << 0)
    /// SEV, bit 1.
    public static let sev = Self(rawValue: 1 << 1)
    /// SEV-ES, bit 3.
    public static let sevES = Self(rawValue: 1 << 3)
    /// SEV-SNP, bit 4.
    public static let sevSNP = Self(rawValue: 1 << 4)
    /// VMPLs, bit 5.
    public static let vmpl = Self(rawValue: 1 << 5)
    /// RMPREAD, bit 21.
    public static let rmpRead = Self(rawValue: 1 << 21)
    /// The RMP may be segmented, bit 23.
    public static let segmentedRMP = Self(rawValue: 1 << 23)

    /// The features of a product.
    public init(of product: Product) {
        self = [.sme, .sev, .sevES, .sevSNP, .vmpl]
        if product == .turin { formUnion([.rmpRead, .segmentedRMP]) }
    }
}

/// The IOMMUs, as the kernel finds them.
public enum IOMMUKind: String, CaseIterable, Sendable {
    /// There is none.
    case absent
    /// They know nothing of the RMP.
    case withoutSNP
    /// They can check the RMP.
    case checksRMP
}
