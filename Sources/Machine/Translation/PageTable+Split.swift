// Changing the size of mappings and not what they map.

public import SNPArchitecture

extension PageTable {
    /// Splits the page that maps a frame until it is no larger than `level`. Other pages of a 1 GiB mapping stay 2 MiB.
    ///
    /// Does nothing for a frame that is not mapped, or mapped small enough. Translations and flags stay the same throughout.
    ///
    /// - Throws: `.outOfTablePages`; a 1 GiB mapping may then have become 2 MiB ones
    public func split(_ frame: UInt64, to level: PageLevel) throws(PageTableError) {
        while let mapping = lookup(frame), mapping.level > level {
            let height = UInt64(mapping.level.rawValue)
            guard let table = table(for: frame, level: height) else { return }
            let index = Self.index(frame, height)
            let old = entry(table, index)
            let child = try makeTable()
            let smaller: PageLevel = mapping.level == .level1G ? .level2M : .level4K
            for part in 0..<512 as Range<UInt64> {
                let pfn = PFN(old.pfn.rawValue + part * smaller.pageCount)
                setEntry(child, part, PageTableEntry(leaf: pfn, level: smaller, flags: old.flags))
            }
            setEntry(table, index, PageTableEntry(table: child))
        }
    }

    /// Makes one page of 512 of the next smaller size, if they map consecutive page frames from an aligned one with the same
    /// flags. Accessed and dirty may differ; the page has them if any of the 512 has.
    ///
    /// - Returns: whether the page is now mapped at `level` or larger. The freed table may not be in use by a walk
    @discardableResult
    public func collapse(_ frame: UInt64, to level: PageLevel) -> Bool {
        if let mapping = lookup(frame), mapping.level >= level { return true }
        let height = UInt64(level.rawValue)
        guard level != .level4K, frame < Self.frameCount, let table = table(for: frame, level: height) else {
            return false
        }
        let index = Self.index(frame, height)
        let upper = entry(table, index)
        guard upper.isPresent else { return false }
        let child = upper.pfn
        let first = entry(child, 0)
        guard first.isLeaf(atLevel: height - 1), first.pfn.rawValue & (level.pageCount - 1) == 0 else { return false }
        let used = PageFlags([.accessed, .dirty]).rawValue
        let step = Self.span(height - 1) << 12
        var expected = first.rawValue | used
        var flags = first.flags
        for part in 1..<512 as Range<UInt64> {
            let entry = entry(child, part)
            expected &+= step
            guard entry.rawValue | used == expected else { return false }
            flags.formUnion(entry.flags)
        }
        setEntry(table, index, PageTableEntry(leaf: first.pfn, level: level, flags: flags))
        releaseTable(child)
        return true
    }
}
