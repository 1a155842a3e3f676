// What kind of machine to build, and what can be wrong with the wish.

public import SNPArchitecture

/// The processor family that the machine emulates.
///
/// - Deviates: the steppings of Bergamo and Siena are unconfirmed
public enum Product: String, CaseIterable, Sendable {
    /// EPYC 7003, family 19h models 00-0F.
    case milan
    /// EPYC 9004, family 19h models 10-1F.
    case genoa
    /// EPYC 97x4, family 19h models A0-AF. Attestation counts it to Genoa.
    case bergamo
    /// EPYC 8004, family 19h models A0-AF. Attestation counts it to Genoa.
    case siena
    /// EPYC 9005, family 1Ah.
    case turin

    /// CPUID Fn0000_0001_EAX of a part of this product.
    public var signature: UInt32 {
        switch self {
        case .milan: 0x00a0_0f11
        case .genoa: 0x00a1_0f11
        case .bergamo, .siena: 0x00aa_0f02
        case .turin: 0x00b0_0f21
        }
    }

    /// The product line whose root of trust certifies parts of this product.
    public var attestationProduct: AttestationProduct {
        switch self {
        case .milan: .milan
        case .genoa, .bergamo, .siena: .genoa
        case .turin: .turin
        }
    }
}

/// A machine's size and kind.
public struct MachineConfiguration: Sendable {
    /// The emulated product.
    public var product: Product
    /// DRAM in bytes, a multiple of 2 MiB.
    public var dramByteCount: UInt64
    /// Processor cores.
    public var coreCount: Int
    /// Where the RMP lies, or the bookkeeping of a segmented one; nil for the top of DRAM, 2 MiB aligned.
    public var rmpBase: SPA?
    /// The RMP in segments, on a processor that can have it so; nil for one piece.
    public var rmpSegmentation: RMPSegmentation?
    /// What CPUID tells of segmented RMPs.
    public var rmpSegmentLimits: RMPSegmentLimits
    /// How many bytes of DRAM the RMP covers at least; what lies past it is in the Default state. Nil for all of it.
    public var rmpCoveredByteCount: UInt64?
    /// The first ASID for plain SEV guests: SEV-ES and SNP guests use 1 up to this, less one. CPUID 8000_001F EDX.
    public var minimumSEVASID: UInt32
    /// The number of ASIDs with a key. CPUID 8000_001F ECX.
    public var asidCount: UInt32
    /// Pages of the IOMMUs' event logs, completion-wait buffers and PPR logs, which firmware takes while SNP is on.
    public var iommuBuffers: [Range<PFN>]
    /// What BIOS keeps from the kernel besides the RMP: the rows of its memory map that are no usable DRAM.
    public var reservedMemory: [MemoryMapEntry]
    /// What CPUID tells of memory encryption.
    public var features: MemoryEncryptionFeatures
    /// The IOMMUs, as the kernel finds them.
    public var iommuKind: IOMMUKind
    /// Seeds the machine's keys and identifiers: equal seeds give equal runs.
    public var seed: UInt64

    /// Frames that the processors keep for themselves: 0xFD_0000_0000 to 0xFD_FFFF_FFFF. No use of them as DRAM is
    /// possible.
    public static let hyperTransportFrames = PFN(0xfd0_0000)..<PFN(0xfe0_0000)

    /// Makes a configuration; the defaults are those of a small Genoa host.
    public init(
        product: Product = .genoa, dramByteCount: UInt64 = 1 << 30, coreCount: Int = 4, rmpBase: SPA? = nil,
        minimumSEVASID: UInt32 = 100, asidCount: UInt32 = 1006, seed: UInt64 = 0
    ) {
        self.product = product
        self.dramByteCount = dramByteCount
        self.coreCount = coreCount
        self.rmpBase = rmpBase
        self.minimumSEVASID = minimumSEVASID
        self.asidCount = asidCount
        self.seed = seed
        iommuBuffers = []
        reservedMemory = []
        features = MemoryEncryptionFeatures(of: product)
        iommuKind = .checksRMP
        rmpCoveredByteCount = nil
        rmpSegmentation = nil
        rmpSegmentLimits = product == .turin ? .turin : RMPSegmentLimits(eax: 0, ebx: 0)
    }
}

/// Why a machine cannot be built.
public enum MachineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// DRAM must be a positive multiple of 2 MiB.
    case sizeNotAligned(UInt64)
    /// The system refuses this much address space.
    case reservationRefused(UInt64)
    /// A part of the RMP is not on 1 MiB, not inside DRAM, or over another part.
    case rmpMisplaced(base: SPA, byteCount: UInt64)
    /// The processor knows no segmented RMP.
    case rmpSegmentsUnavailable
    /// The processor knows no segments of `1 << shift` bytes.
    case rmpSegmentSize(shift: UInt8)
    /// More segments than the processor, or the segment table, can have.
    case tooManyRMPSegments(Int, limit: Int)
    /// DRAM is too small to hold its own RMP and the kernel's needs.
    case tooSmall(UInt64)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .sizeNotAligned(let size): "DRAM of \(size) bytes is not a positive multiple of 2 MiB"
        case .reservationRefused(let size):
            "the system refuses to reserve \(size) bytes of address space; ask for less memory or raise its limit (ulimit -v)"
        case .rmpMisplaced(let base, let size):
            "an RMP, or a part of it, of \(size) bytes at \(base) is not on 1 MiB, not inside DRAM, or over another part"
        case .rmpSegmentsUnavailable: "this product has no segmented RMP; take turin"
        case .rmpSegmentSize(let shift): "this product has no RMP segments for 2^\(shift) bytes of memory"
        case .tooManyRMPSegments(let count, let limit):
            "\(count) RMP segments are more than the \(limit) there can be; make them larger"
        case .tooSmall(let size): "DRAM of \(size) bytes is too small; give the machine at least 16 MiB"
        }
    }
}
