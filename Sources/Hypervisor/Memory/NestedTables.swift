// A machine's nested page tables, with the brackets that make a fault in flight try again.

public import Machine
public import SNPArchitecture
public import Scheduling
internal import Synchronization

/// The nested tables and their invalidation counters. `lock` guards everything here, and reading attributes and slots. So the
/// counters are not checked for exclusive access.
public final class NestedTables: @unchecked Sendable {
    /// The lock (Linux: `mmu_lock`).
    public let lock = Lock(.nestedTables)
    /// The tables the silicon walks.
    public let table: NestedTable
    /// Counts ended invalidations: a fault that read an older number is stale.
    @safe @exclusivity(unchecked) private(set) var sequence: UInt64 = 0
    /// Invalidations under way, with their union of frames.
    @safe @exclusivity(unchecked) private var active = 0
    @safe @exclusivity(unchecked) private var activeFrames: Range<GFN>?
    /// How many leaf entries were ever removed, and how many of them a flush has followed.
    @safe @exclusivity(unchecked) private var zapCount: UInt64 = 0
    @safe @exclusivity(unchecked) private var flushedZapCount: UInt64 = 0
    /// How many virtual CPUs are in the guest with a VMSA of the guest's own. Changed under the lock.
    let guestVMSACount = Atomic<Int>(0)
    /// The tables are given back.
    @safe @exclusivity(unchecked) private(set) var isDestroyed = false

    init(host: Host) throws(Errno) {
        do {
            table = try NestedTable(memory: host.machine.memory, pages: TablePages(allocator: host.allocator))
        } catch { throw .noMemory }
    }

    /// Begins an invalidation: until it ends no fault maps any of the frames. Returns how many leaf entries were removed.
    func begin(_ frames: Range<GFN>) -> UInt64 {
        noteChange()
        active += 1
        activeFrames =
            activeFrames.map {
                min($0.lowerBound, frames.lowerBound)..<max($0.upperBound, frames.upperBound)
            } ?? frames
        guard !isDestroyed else { return 0 }
        let zapped = UInt64(table.zap(frames))
        // Again: the zap is a schedule point.
        noteChange()
        zapCount &+= zapped
        return zapped
    }

    /// The number of removed entries that a flush now must follow, or nil if none has come since the last flush. Another
    /// call's entries count too: it may not have come to its flush yet.
    var unflushedZaps: UInt64? { zapCount == flushedZapCount ? nil : zapCount }

    /// A flush has followed the first `count` removals.
    func noteFlush(of count: UInt64) {
        noteChange()
        flushedZapCount = max(flushedZapCount, count)
    }

    func end() {
        noteChange()
        active -= 1
        sequence &+= 1
        if active == 0 { activeFrames = nil }
    }

    /// Whether a fault that read `sequence` may not map the frames: all those that the leaf would cover, not only the one
    /// that faulted.
    func isStale(_ frames: Range<GFN>, since sequence: UInt64) -> Bool {
        isDestroyed || (active > 0 && activeFrames?.overlaps(frames) == true) || self.sequence != sequence
    }

    /// Whether an invalidation of the frame is under way.
    func isInvalidating(_ gfn: GFN) -> Bool { active > 0 && activeFrames?.contains(gfn) == true }

    /// Puts a leaf in place of whatever maps the range now.
    ///
    /// - Throws: ENOMEM without a frame for a table
    func map(_ gfn: GFN, _ pfn: PFN, _ level: PageLevel) throws(Errno) {
        // A larger leaf is in the way of a small one, and small ones are in the way of a large one.
        if level > .level4K || (table.lookup(gfn)?.level ?? level) > level {
            table.zap(gfn..<(gfn + level.pageCount))
        }
        do { try table.map(gfn, to: pfn, level: level) } catch {
            precondition(error == .outOfTablePages, "a zapped range is free: \(error)")
            throw .noMemory
        }
    }

    /// The frame to which device pages are mapped: past the physical address width, so that an access meets a reserved bit.
    static let deviceFrame = PFN(1 << (PageTableEntry.physicalAddressWidth - 12))
    /// Some page is marked as a device's, or has been.
    @safe @exclusivity(unchecked) private(set) var hasDevicePages = false

    /// Marks a guest frame as a device's: an access raises #VC in the guest, which then asks for the access.
    ///
    /// - Spec: GHCB 56421, "MMIO access"; Linux: `mark_mmio_spte()`
    /// - Throws: EFAULT past the tables' reach, ENOMEM without a frame for a table
    func markDevice(_ gfn: GFN) throws(Errno) {
        guard gfn.rawValue < PageTable.frameCount else { throw .badAddress }
        guard !isDestroyed else { throw .ioError }
        hasDevicePages = true
        try map(gfn, Self.deviceFrame, .level4K)
    }

    func checkpoint() -> Checkpoint {
        let saved = (sequence, active, activeFrames, zapCount, flushedZapCount, isDestroyed, hasDevicePages)
        let tableCount = table.table.tablePageCount
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            (sequence, active, activeFrames, zapCount, flushedZapCount, isDestroyed, hasDevicePages) = saved
            table.table.restoreCount(tableCount)
        }
        return checkpoint
    }

    /// The brackets, as a number. The tables are in the machine's memory.
    func combine(into hasher: inout StateHasher) {
        hasher.combine(sequence << 8 | UInt64(active))
        hasher.combine(zapCount &- flushedZapCount)
        hasher.combine(activeFrames.map { $0.lowerBound.rawValue << 20 ^ $0.upperBound.rawValue } ?? 0)
    }

    /// How a frame is mapped, or nil. For tools and tests; takes the lock.
    public func mapping(of gfn: GFN) -> PageMapping? { lock.withLock { isDestroyed ? nil : table.lookup(gfn) } }

    /// Gives the tables back. Nothing is mapped or zapped afterwards.
    func destroy() {
        lock.withLock {
            isDestroyed = true
            table.destroy()
        }
    }
}

extension VirtualMachine {
    /// Opens an invalidation bracket: zaps the nested mappings of the frames and flushes the guest's TLB entries.
    @discardableResult
    func beginInvalidation(_ frames: Range<GFN>, _ flushes: inout UInt64) -> UInt64 {
        schedulePoint(.invalidationBegin)
        let (zapped, unflushed) = nested.lock.withLock { (nested.begin(frames), nested.unflushedZaps) }
        if let unflushed {
            flushTLBs()
            nested.lock.withLock { nested.noteFlush(of: unflushed) }
            flushes &+= 1
        }
        if nested.guestVMSACount.load(ordering: .relaxed) > 0, !host.has(.runningVMSAPunched) { expelVMSAs(in: frames) }
        return zapped
    }

    /// Opens an invalidation bracket and records what it did.
    @discardableResult
    func beginInvalidation(_ frames: Range<GFN>) -> UInt64 {
        var counts = ConversionCounts()
        counts.zaps = beginInvalidation(frames, &counts.tlbFlushes)
        record(counts)
        return counts.zaps
    }

    /// Closes an invalidation bracket.
    func endInvalidation(_ frames: Range<GFN>) {
        schedulePoint(.invalidationEnd)
        nested.lock.withLock { nested.end() }
    }

    /// Flushes the guest's entries from every processor's TLB.
    func flushTLBs() {
        if let asid { host.machine.epochs.flush(asid) }
    }
}

/// Frames for page tables, from the host's allocator.
final class TablePages: TablePageSource {
    private let allocator: HostPageAllocator

    init(allocator: HostPageAllocator) { self.allocator = allocator }

    func allocateTablePage() -> PFN? { allocator.allocate(order: 0)?.pfn }
    func freeTablePage(_ pfn: PFN) { allocator.free(pfn, order: 0) }
}
