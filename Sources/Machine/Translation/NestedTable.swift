// A guest's nested page table: guest frames to page frames. The hypervisor's side; the processor walks from `root`.

public import SNPArchitecture
internal import Scheduling

/// The page table that translates one guest's physical addresses.
public struct NestedTable: Sendable {
    /// The table underneath.
    public let table: PageTable

    /// Makes an empty table.
    ///
    /// - Throws: `.outOfTablePages`
    public init(memory: PhysicalMemory, pages: any TablePageSource) throws(PageTableError) {
        table = try PageTable(memory: memory, pages: pages)
    }

    /// The frame of the top table, for nested CR3.
    public var root: PFN { table.root }

    /// What the table says of a guest frame.
    @inlinable public func lookup(_ gfn: GFN) -> PageMapping? { table.lookup(gfn.rawValue) }

    /// Maps one page.
    ///
    /// - Throws: as `PageTable.map`
    public func map(
        _ gfn: GFN, to pfn: PFN, level: PageLevel, flags: PageFlags = .guest
    ) throws(PageTableError) {
        schedulePoint(.nestedMap)
        try table.map(gfn.rawValue, to: pfn, level: level, flags: flags)
    }

    /// Maps consecutive guest frames to consecutive page frames.
    ///
    /// - Throws: as `PageTable.mapRange`
    public func mapRange(
        _ gfns: Range<GFN>, to pfn: PFN, flags: PageFlags = .guest, largest: PageLevel = .level1G
    ) throws(PageTableError) {
        schedulePoint(.nestedMap)
        try table.mapRange(gfns.lowerBound.rawValue..<gfns.upperBound.rawValue, to: pfn, flags: flags, largest: largest)
    }

    /// Removes every mapping that touches the range, larger pages whole. Translations may live on in TLBs until a flush.
    ///
    /// - Returns: how many mappings were removed
    @discardableResult
    public func zap(_ gfns: Range<GFN>, freeingTables: Bool = false) -> Int {
        schedulePoint(.nestedZap)
        return table.zap(gfns.lowerBound.rawValue..<gfns.upperBound.rawValue, freeingTables: freeingTables)
    }

    /// Splits the page that maps a guest frame.
    ///
    /// - Throws: as `PageTable.split`
    public func split(_ gfn: GFN, to level: PageLevel) throws(PageTableError) {
        schedulePoint(.nestedMap)
        try table.split(gfn.rawValue, to: level)
    }

    /// Makes one larger page of 512, if they allow it.
    @discardableResult
    public func collapse(_ gfn: GFN, to level: PageLevel) -> Bool {
        schedulePoint(.nestedMap)
        return table.collapse(gfn.rawValue, to: level)
    }

    /// Gives back the frames of all tables.
    public func destroy() { table.destroy() }
}
