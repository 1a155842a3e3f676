// Removing mappings. The cost is that of the tables in the range: absent upper entries are passed over whole.

internal import CPlatform
internal import SNPArchitecture

extension PageTable {
    /// Removes every leaf that touches the range. A leaf larger than the range goes whole.
    ///
    /// - Parameter freeingTables: also give back tables that became empty. Only when no processor can be walking the table
    /// - Returns: how many leaves were removed
    @discardableResult
    public func zap(_ frames: Range<UInt64>, freeingTables: Bool = false) -> Int {
        let frames = frames.clamped(to: 0..<Self.frameCount)
        guard !frames.isEmpty else { return 0 }
        return zap(root, level: 4, base: 0, frames, freeingTables)
    }

    /// Removes the range and nothing else: a leaf that reaches over an end of the range is split first.
    ///
    /// - Returns: how many leaves were removed
    /// - Throws: `.outOfTablePages`; then no translation has changed
    @discardableResult
    public func zapExactly(_ frames: Range<UInt64>, freeingTables: Bool = false) throws(PageTableError) -> Int {
        let frames = frames.clamped(to: 0..<Self.frameCount)
        guard !frames.isEmpty else { return 0 }
        try makeBoundary(at: frames.lowerBound)
        try makeBoundary(at: frames.upperBound)
        return zap(frames, freeingTables: freeingTables)
    }

    private func zap(
        _ table: PFN, level: UInt64, base: UInt64, _ frames: Range<UInt64>, _ freeingTables: Bool
    ) -> Int {
        let shift = 9 * (level - 1)
        let end = base + 512 << shift
        let first = (max(frames.lowerBound, base) - base) >> shift
        let last = (min(frames.upperBound, end) - 1 - base) >> shift
        if level == 1 { return clearLeaves(table, first...last) }
        var removed = 0
        for index in first...last {
            let entry = entry(table, index)
            guard entry.isPresent else { continue }
            if entry.isLeaf(atLevel: level) {
                setEntry(table, index, PageTableEntry(rawValue: 0))
                removed += 1
            } else {
                removed += zap(entry.pfn, level: level - 1, base: base + index << shift, frames, freeingTables)
                if freeingTables, isEmpty(entry.pfn) {
                    setEntry(table, index, PageTableEntry(rawValue: 0))
                    releaseTable(entry.pfn)
                }
            }
        }
        return removed
    }

    private func clearLeaves(_ table: PFN, _ indices: ClosedRange<UInt64>) -> Int {
        let written = Int(indices.lowerBound) << 3..<(Int(indices.upperBound) + 1) << 3
        return unsafe memory.withFrameBytes(table, writing: written) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            var removed = 0
            // SAFETY: indices are at most 511, so every access is inside the table's frame.
            for index in indices {
                let entry = unsafe base + Int(index << 3)
                if unsafe cp_load_relaxed_u64(entry) != 0 {
                    unsafe cp_store_relaxed_u64(entry, 0)
                    removed &+= 1
                }
            }
            return removed
        }
    }

    /// Splits until no leaf reaches over the boundary in front of a frame.
    private func makeBoundary(at frame: UInt64) throws(PageTableError) {
        while let mapping = lookup(frame), mapping.level != .level4K, frame & (mapping.level.pageCount - 1) != 0 {
            try split(frame, to: mapping.level == .level1G ? .level2M : .level4K)
        }
    }
}
