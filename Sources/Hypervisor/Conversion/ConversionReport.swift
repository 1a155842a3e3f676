// What a conversion did.

public import SNPArchitecture

/// What one conversion did, or what a machine's conversions did in all.
public struct ConversionCounts: Hashable, Sendable {
    /// 4 KiB pages that became private.
    public var madePrivate: UInt64 = 0
    /// 4 KiB pages that became shared.
    public var madeShared: UInt64 = 0
    /// 4 KiB pages that had no backing page and were passed over.
    public var skipped: UInt64 = 0
    /// RMP instructions.
    public var rmp = RMPCounts()
    /// Direct-map mappings split into smaller ones.
    public var directMapSplits: UInt64 = 0
    /// Direct-map mappings joined again.
    public var directMapCollapses: UInt64 = 0
    /// Nested page-table entries removed.
    public var zaps: UInt64 = 0
    /// TLB flushes of the guest's ASID.
    public var tlbFlushes: UInt64 = 0
    /// 4 KiB pages taken back after a failure.
    public var rolledBack: UInt64 = 0

    /// Makes zero counts.
    public init() {}

    /// What was added since an earlier reading.
    public func since(_ earlier: Self) -> Self {
        var delta = self
        delta.madePrivate &-= earlier.madePrivate
        delta.madeShared &-= earlier.madeShared
        delta.skipped &-= earlier.skipped
        delta.rmp -= earlier.rmp
        delta.directMapSplits &-= earlier.directMapSplits
        delta.directMapCollapses &-= earlier.directMapCollapses
        delta.zaps &-= earlier.zaps
        delta.tlbFlushes &-= earlier.tlbFlushes
        delta.rolledBack &-= earlier.rolledBack
        return delta
    }

    /// Adds another conversion's counts.
    public static func += (a: inout Self, b: Self) {
        a.madePrivate &+= b.madePrivate
        a.madeShared &+= b.madeShared
        a.skipped &+= b.skipped
        a.rmp += b.rmp
        a.directMapSplits &+= b.directMapSplits
        a.directMapCollapses &+= b.directMapCollapses
        a.zaps &+= b.zaps
        a.tlbFlushes &+= b.tlbFlushes
        a.rolledBack &+= b.rolledBack
    }
}

/// Why a conversion was refused or did not complete.
public struct ConversionFailure: Error, Hashable, Sendable {
    /// What the caller gets.
    public var errno: Errno
    /// What the RMP said, if it was the RMP.
    public var status: RMPStatus?
    /// The guest frame at fault.
    public var gfn: GFN?
    /// The frames whose attribute is as asked for all the same. Empty when nothing changed.
    public var converted: [Range<GFN>]

    /// Makes a failure.
    public init(_ errno: Errno, status: RMPStatus? = nil, gfn: GFN? = nil, converted: [Range<GFN>] = []) {
        self.errno = errno
        self.status = status
        self.gfn = gfn
        self.converted = converted
    }
}
