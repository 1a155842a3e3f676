// A row of the segment table of a segmented RMP.

/// One segment of the RMP: where its entries lie, and how much memory they are for.
///
/// The row's place in the table says which memory: row n is for addresses from n times the segment size on.
///
/// - Spec: APM2 15.36.3, segmented RMP; RMP_CFG C001_0136
@frozen public struct RMPSegmentTableEntry: Hashable, Sendable {
    /// The quadword in memory.
    public var rawValue: UInt64

    /// Makes a row of its quadword.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Makes a row of its fields; of `base` only bits 51:20 are kept.
    @inlinable public init(base: SPA, mappedGiB: UInt64) {
        self.init(rawValue: base.rawValue & Self.base.mask | mappedGiB & Self.mapped.mask)
    }

    /// A segment that is not there: its memory is in the Default state.
    @inlinable public static var absent: Self { Self(rawValue: 0) }

    @usableFromInline static var mapped: BitField<UInt64> { BitField(0...19) }
    @usableFromInline static var base: BitField<UInt64> { BitField(20...51) }

    /// The address of the segment's first entry, a multiple of 1 MiB.
    @inlinable public var base: SPA { SPA(rawValue & Self.base.mask) }

    /// How much memory has entries, in GiB from the start of the segment's memory; 0 for a segment that is not there.
    @inlinable public var mappedGiB: UInt64 { rawValue[Self.mapped] }

    /// The same as hardware takes it: what exceeds the segment's size does not count.
    ///
    /// - Parameter shift: the segment size is `1 << shift` bytes, at least 1 GiB
    @inlinable public func mappedByteCount(shift: UInt8) -> UInt64 { min(mappedGiB << 30, 1 << UInt64(shift)) }

    /// The size of the entries of so much memory.
    @inlinable public static func entriesByteCount(mapping byteCount: UInt64) -> UInt64 {
        byteCount >> 12 * RMPEntryRaw.byteCount
    }

    /// How many rows the table's one page holds.
    @inlinable public static var maximumCount: Int { 512 }
}

/// What RMP_CFG, C001_0136, says of the RMP's form.
///
/// - Deviates: the register's layout is unconfirmed
@frozen public struct RMPConfiguration: Hashable, Sendable {
    /// The register.
    public var rawValue: UInt64

    /// Takes the register's value.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A segmented RMP, with segments of `1 << shift` bytes of memory.
    @inlinable public init(segmentShift shift: UInt8) { self.init(rawValue: 1 | UInt64(shift) << 8) }

    /// The RMP is segmented, bit 0.
    @inlinable public var isSegmented: Bool { rawValue & 1 != 0 }

    /// The power of two of the segment size, bits 13:8.
    @inlinable public var segmentShift: UInt8 { UInt8(rawValue >> 8 & 0x3f) }
}

/// What CPUID 8000_0025 tells of a segmented RMP.
@frozen public struct RMPSegmentLimits: Hashable, Sendable {
    /// EAX: bits 5:0 the smallest, bits 11:6 the largest power of two of a segment's size.
    public var eax: UInt32
    /// EBX: bit 10 says that bits 9:0 limit the number of segments.
    public var ebx: UInt32

    /// Takes the registers' values.
    @inlinable public init(eax: UInt32, ebx: UInt32) { (self.eax, self.ebx) = (eax, ebx) }

    /// The powers of two that a segment's size may be; empty if the registers are inconsistent.
    @inlinable public var shifts: [UInt8] {
        let (low, high) = (UInt8(eax & 0x3f), UInt8(eax >> 6 & 0x3f))
        return low <= high ? Array(low...high) : []
    }

    /// How many segments there may be.
    @inlinable public var maximumCount: Int {
        ebx & 1 << 10 != 0
            ? min(Int(ebx & 0x3ff), RMPSegmentTableEntry.maximumCount) : RMPSegmentTableEntry.maximumCount
    }

    /// The limits of the emulated Turin: segments of 1 GiB to 1 TiB, as many as the table holds.
    ///
    /// - Deviates: what real parts say is unconfirmed
    @inlinable public static var turin: Self { Self(eax: 30 | 40 << 6, ebx: 0) }
}
