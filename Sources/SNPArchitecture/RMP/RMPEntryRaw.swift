// The 16-byte form of an RMP entry in memory, as Milan and Genoa lay it out.

/// An RMP entry as it stands in memory: two quadwords.
///
/// - Spec: FWABI 56860, RMP entry of family 19h; PPR
/// - Deviates: none for the single-table format of Milan and Genoa
@frozen public struct RMPEntryRaw: Hashable, Sendable {
    /// Ownership and state.
    public var low: UInt64
    /// VMPL permissions.
    public var high: UInt64

    /// Makes a raw entry from its quadwords.
    @inlinable public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// The size of an entry in bytes.
    @inlinable public static var byteCount: UInt64 { 16 }

    /// The fields of the low quadword.
    public enum Low {
        /// Bit 0.
        @inlinable public static var assigned: UInt64 { 1 << 0 }
        /// Bit 1.
        @inlinable public static var pageSize: UInt64 { 1 << 1 }
        /// Bit 2.
        @inlinable public static var immutable: UInt64 { 1 << 2 }
        /// Bits 11:3.
        @inlinable public static var subpageCount: BitField<UInt64> { BitField(3...11) }
        /// Bits 50:12, a guest frame number.
        @inlinable public static var gfn: BitField<UInt64> { BitField(12...50) }
        /// Bits 60:51.
        @inlinable public static var asid: BitField<UInt64> { BitField(51...60) }
        /// Bit 61.
        @inlinable public static var vmsa: UInt64 { 1 << 61 }
        /// Bit 62.
        @inlinable public static var validated: UInt64 { 1 << 62 }
        /// Bit 63.
        @inlinable public static var lock: UInt64 { 1 << 63 }
    }

    /// The fields of the high quadword.
    public enum High {
        /// Bits 31:0, one byte for each VMPL.
        @inlinable public static var permissions: BitField<UInt64> { BitField(0...31) }
        /// Bits 63:32: key select, root port, migration; not modelled, kept as zero.
        @inlinable public static var unmodelled: BitField<UInt64> { BitField(32...63) }
    }

    /// Encodes an entry. A GFN past 39 bits or an ASID past 10 bits loses its upper bits.
    @inlinable public init(_ entry: RMPEntry) {
        var low: UInt64 = 0
        if entry.assigned { low |= Low.assigned }
        if entry.pageSize == .size2M { low |= Low.pageSize }
        if entry.immutable { low |= Low.immutable }
        low[Low.subpageCount] = UInt64(entry.subpageCount)
        low[Low.gfn] = entry.gfn.rawValue
        low[Low.asid] = UInt64(entry.asid.rawValue)
        if entry.vmsa { low |= Low.vmsa }
        if entry.validated { low |= Low.validated }
        if entry.locked { low |= Low.lock }
        self.init(low: low, high: UInt64(entry.permissions.rawValue))
    }

    /// The entry that these bits mean.
    @inlinable public var decoded: RMPEntry {
        RMPEntry(
            assigned: low & Low.assigned != 0, pageSize: low & Low.pageSize != 0 ? .size2M : .size4K,
            immutable: low & Low.immutable != 0, subpageCount: UInt16(truncatingIfNeeded: low[Low.subpageCount]),
            gfn: GFN(low[Low.gfn]), asid: ASID(UInt32(truncatingIfNeeded: low[Low.asid])),
            vmsa: low & Low.vmsa != 0, validated: low & Low.validated != 0, locked: low & Low.lock != 0,
            permissions: VMPLPermissionSet(rawValue: UInt32(truncatingIfNeeded: high)))
    }
}
