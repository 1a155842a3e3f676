// The kernel's helpers over the RMP instructions: look up, make private, make shared, smash, each with bounded retry.

internal import Machine
public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// How many RMP instructions ran, and how they fared.
public struct RMPCounts: Hashable, Sendable {
    /// RMPUPDATEs that succeeded.
    public var updates: UInt64 = 0
    /// PSMASHes that succeeded.
    public var psmashes: UInt64 = 0
    /// Instructions repeated after FAIL_INUSE or FAIL_OVERLAP.
    public var retries: UInt64 = 0
    /// Instructions that failed for good.
    public var failures: UInt64 = 0

    /// Makes zero counts.
    public init() {}

    static func -= (a: inout Self, b: Self) {
        a.updates &-= b.updates
        a.psmashes &-= b.psmashes
        a.retries &-= b.retries
        a.failures &-= b.failures
    }

    static func += (a: inout Self, b: Self) {
        a.updates &+= b.updates
        a.psmashes &+= b.psmashes
        a.retries &+= b.retries
        a.failures &+= b.failures
    }
}

/// What the host may know of a frame's entry.
@frozen public struct RMPLookup: Hashable, Sendable {
    /// Owned by a guest or firmware.
    public var assigned: Bool
    /// The size of the governing entry.
    public var pageSize: PageSize
    /// RMPUPDATE refuses it.
    public var immutable: Bool
    /// The owner.
    public var asid: ASID
    /// The guest frame at which the owner sees it.
    public var gfn: GFN
    /// Some 4 KiB page of the 2 MiB region is assigned.
    public var regionHasAssignedPages: Bool
}

/// The host's way to the RMP.
///
/// A transient refusal (FAIL_INUSE, FAIL_OVERLAP) is retried at most `retryLimit` times: a persistent one is an error, where
/// Linux would retry an overlap for ever.
public final class HostRMP: Sendable {
    /// How often an instruction is repeated.
    public static let retryLimit = 64

    private let table: ReverseMapTable
    private let totals = Mutex(RMPCounts())
    private let snp: SNPSwitch
    private let defects: KnownDefects

    init(_ table: ReverseMapTable, snp: SNPSwitch, defects: KnownDefects = []) {
        self.table = table
        self.snp = snp
        self.defects = defects
    }

    func covers(_ pfn: PFN) -> Bool { table.covers(pfn) }
    func rawEntry(_ pfn: PFN) -> RMPEntryRaw { table.rawEntry(pfn) }

    /// SNP is on.
    var isOn: Bool { snp.isOn }

    /// All instructions so far.
    public var counts: RMPCounts { totals.withLock { $0 } }

    func checkpoint() -> Checkpoint {
        let saved = counts
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in totals.withLock { $0 = saved } }
        return checkpoint
    }

    /// Adds a batch's counts to the totals.
    func record(_ counts: RMPCounts) { totals.withLock { $0 += counts } }

    /// What the RMP says of a frame, or nil if the RMP does not cover it, or is not used as SNP is off.
    public func lookup(_ pfn: PFN) -> RMPLookup? {
        guard snp.isOn, let read = try? table.rmpRead(pfn.address) else { return nil }
        return RMPLookup(
            assigned: read.assigned, pageSize: read.pageSize, immutable: read.immutable, asid: read.asid,
            gfn: read.gpa.frame, regionHasAssignedPages: read.regionHasAssignedPages)
    }

    /// Gives a page to a guest.
    ///
    /// - Throws: what RMPUPDATE last returned
    @inline(__always)
    public func makePrivate(
        _ pfn: PFN, _ size: PageSize, gfn: GFN, asid: ASID, immutable: Bool = false, counts: inout RMPCounts
    ) throws(RMPStatus) {
        try update(pfn, to: .guest(asid, at: gfn.address, size, immutable: immutable), &counts)
    }

    /// Takes a page back for the host.
    ///
    /// - Throws: what RMPUPDATE last returned
    @inline(__always)
    public func makeShared(_ pfn: PFN, _ size: PageSize, counts: inout RMPCounts) throws(RMPStatus) {
        try update(pfn, to: .shared(size), &counts)
    }

    /// Gives a 4 KiB page to the firmware.
    ///
    /// - Throws: what RMPUPDATE last returned
    public func makeFirmware(_ pfn: PFN) throws(RMPStatus) {
        var counts = RMPCounts()
        defer { record(counts) }
        try update(pfn, to: .firmware, &counts)
    }

    @inline(__always)
    func update(_ pfn: PFN, to state: RMPUpdateState, _ counts: inout RMPCounts) throws(RMPStatus) {
        do {
            try table.rmpUpdate(pfn.address, to: state)
            counts.updates &+= 1
        } catch {
            try retryUpdate(pfn, to: state, after: error, &counts)
        }
    }

    @inline(never)
    private func retryUpdate(
        _ pfn: PFN, to state: RMPUpdateState, after first: RMPStatus, _ counts: inout RMPCounts
    ) throws(RMPStatus) {
        var last = first
        for _ in 0..<Self.retryLimit {
            guard last == .failInUse || last == .failOverlap else { break }
            counts.retries &+= 1
            HostClock.giveWay()
            do {
                try table.rmpUpdate(pfn.address, to: state)
                counts.updates &+= 1
                return
            } catch {
                last = error
            }
        }
        counts.failures &+= 1
        throw last
    }

    /// One PSMASH without retry, as the posted patch had it.
    ///
    /// - Throws: what PSMASH returned
    func smashOnce(_ pfn: PFN, counts: inout RMPCounts) throws(RMPStatus) {
        try table.psmash(pfn.aligned(down: .size2M).address)
        counts.psmashes &+= 1
    }

    /// Splits the 2 MiB entry that holds the frame. An entry that is 4 KiB by now counts as success.
    ///
    /// - Throws: what PSMASH last returned
    public func smash(_ pfn: PFN, counts: inout RMPCounts) throws(RMPStatus) {
        let head = pfn.aligned(down: .size2M)
        var last = RMPStatus.failInUse
        for attempt in 0...Self.retryLimit {
            if attempt > 0 {
                counts.retries &+= 1
                HostClock.giveWay()
            }
            do {
                try table.psmash(head.address)
                counts.psmashes &+= 1
                return
            } catch {
                last = error
                if let entry = lookup(head), !entry.assigned || entry.pageSize == .size4K { return }
                guard error == .failInUse, !defects.has(.psmashNotRetried) else { break }
            }
        }
        counts.failures &+= 1
        throw last
    }
}
