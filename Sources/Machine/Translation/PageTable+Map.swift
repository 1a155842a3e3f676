// Adding mappings. A bulk mapping finds each table once and then fills it.

internal import CPlatform
public import SNPArchitecture

extension PageTable {
    /// Maps one page. A mapping of the same size at the same place is replaced.
    ///
    /// - Throws: in check order: `.outOfRange`, `.misaligned` (frame or PFN), `.outOfTablePages`, `.occupied` (a larger page
    ///   covers the frame, or smaller ones lie inside the page). Tables made on the way stay
    public func map(_ frame: UInt64, to pfn: PFN, level: PageLevel, flags: PageFlags) throws(PageTableError) {
        guard frame < Self.frameCount else { throw .outOfRange }
        guard (frame | pfn.rawValue) & (level.pageCount - 1) == 0 else { throw .misaligned }
        let height = UInt64(level.rawValue)
        let table = try makeTables(for: frame, level: height)
        try fill(
            table, Self.index(frame, height), count: 1, PageTableEntry(leaf: pfn, level: level, flags: flags), level)
    }

    /// Maps consecutive frames to consecutive page frames with the largest pages that both alignments and the range allow.
    ///
    /// - Parameter largest: the largest page to use
    /// - Throws: as `map`. What was mapped before the error stays mapped
    public func mapRange(
        _ frames: Range<UInt64>, to pfn: PFN, flags: PageFlags, largest: PageLevel = .level1G
    ) throws(PageTableError) {
        guard frames.upperBound <= Self.frameCount else { throw .outOfRange }
        var frame = frames.lowerBound
        while frame < frames.upperBound {
            let target = PFN(pfn.rawValue + (frame - frames.lowerBound))
            let left = frames.upperBound - frame
            let level = Self.largestLevel(frame | target.rawValue, left, largest)
            let height = UInt64(level.rawValue)
            let index = Self.index(frame, height)
            // Up to the end of the table; past it larger pages may fit.
            let count = min(512 - index, left / level.pageCount)
            let table = try makeTables(for: frame, level: height)
            try fill(table, index, count: count, PageTableEntry(leaf: target, level: level, flags: flags), level)
            frame += count * level.pageCount
        }
    }

    /// Makes the tables that mappings of this level in the range will need, so that those cannot run out of frames.
    ///
    /// - Throws: `.outOfRange`, `.outOfTablePages`, `.occupied`. Tables made before the error stay
    public func prepareTables(for frames: Range<UInt64>, level: PageLevel) throws(PageTableError) {
        guard frames.upperBound <= Self.frameCount else { throw .outOfRange }
        let step = level.pageCount << 9
        var frame = frames.lowerBound & ~(step - 1)
        while frame < frames.upperBound {
            _ = try makeTables(for: frame, level: UInt64(level.rawValue))
            frame += step
        }
    }

    /// The largest level to which all of `alignment`'s set bits are aligned and that fits in `count` frames.
    @inlinable static func largestLevel(_ alignment: UInt64, _ count: UInt64, _ largest: PageLevel) -> PageLevel {
        if largest >= .level1G, alignment & (PageLevel.level1G.pageCount &- 1) == 0,
            count >= PageLevel.level1G.pageCount
        {
            return .level1G
        }
        if largest >= .level2M, alignment & 511 == 0, count >= 512 { return .level2M }
        return .level4K
    }

    /// The table at this level on the way to a frame, made if need be.
    private func makeTables(for frame: UInt64, level target: UInt64) throws(PageTableError) -> PFN {
        var table = root
        var level: UInt64 = 4
        while level > target {
            let index = Self.index(frame, level)
            let entry = entry(table, index)
            if !entry.isPresent {
                let child = try makeTable()
                setEntry(table, index, PageTableEntry(table: child))
                table = child
            } else if entry.isLeaf(atLevel: level) {
                throw .occupied(level == 3 ? .level1G : .level2M)
            } else {
                table = entry.pfn
            }
            level -= 1
        }
        return table
    }

    /// Writes `count` leaves in a row from `index` on; the first is `first` and the others follow it.
    private func fill(
        _ table: PFN, _ index: UInt64, count: UInt64, _ first: PageTableEntry, _ level: PageLevel
    ) throws(PageTableError) {
        let step = level.pageCount << 12
        let height = UInt64(level.rawValue)
        if level == .level4K {
            unsafe memory.withFrameBytes(table, writing: Int(index) << 3..<Int(index + count) << 3) { bytes in
                guard let base = bytes.baseAddress else { return }
                // SAFETY: index + count is at most 512, so every store is inside the table's frame.
                for offset in 0..<count {
                    unsafe cp_store_relaxed_u64(base + Int((index &+ offset) << 3), first.rawValue &+ offset &* step)
                }
            }
            return
        }
        for offset in 0..<count {
            let old = entry(table, index + offset)
            let isTable = old.isPresent && !old.isLeaf(atLevel: height)
            if isTable, hasLeaves(old.pfn, level: height - 1) {
                throw .occupied(level == .level1G ? .level2M : .level4K)
            }
            setEntry(table, index + offset, PageTableEntry(rawValue: first.rawValue &+ offset &* step))
            if isTable { release(old.pfn, level: height - 1) }
        }
    }
}
