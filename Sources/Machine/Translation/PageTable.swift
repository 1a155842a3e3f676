// A four-level page table in emulated DRAM: what the hypervisor writes. The processor's side is in PageWalk.
//
// Frame numbers here are plain: NestedTable and DirectMapTable give them their types. The owner's lock orders all calls;
// processors may walk meanwhile, so entries are read and written whole.

public import SNPArchitecture

/// Where a page table gets the frames of its own tables.
public protocol TablePageSource: AnyObject, Sendable {
    /// Takes a 4 KiB frame that the hypervisor owns, or nil if there is none. Its contents do not matter.
    func allocateTablePage() -> PFN?
    /// Takes a frame back.
    func freeTablePage(_ pfn: PFN)
}

/// Why a page table did not change as asked.
@frozen public enum PageTableError: Error, Hashable, Sendable {
    /// The frame or the page frame is not aligned to the level.
    case misaligned
    /// The frame, or the end of the range, lies past the 48-bit space.
    case outOfRange
    /// A mapping of another size is in the way, at this level.
    case occupied(PageLevel)
    /// There is no frame for another table.
    case outOfTablePages
}

/// What a page table says of one frame.
@frozen public struct PageMapping: Hashable, Sendable {
    /// The very 4 KiB frame, also inside a large page.
    public var pfn: PFN
    /// The level of the mapping.
    public var level: PageLevel
    /// Its flags.
    public var flags: PageFlags
    /// Makes a mapping.
    @inlinable public init(pfn: PFN, level: PageLevel, flags: PageFlags) {
        self.pfn = pfn
        self.level = level
        self.flags = flags
    }
}

/// A four-level table of 4 KiB, 2 MiB and 1 GiB mappings.
public final class PageTable: @unchecked Sendable {
    /// The DRAM that holds the tables.
    public let memory: PhysicalMemory
    /// The frame of the top table: what a CR3 holds.
    public let root: PFN
    /// How many frames the tables take, the top one included.
    public internal(set) var tablePageCount = 1
    @usableFromInline let pages: any TablePageSource

    /// The number of frames that four levels can map: 2^36.
    @inlinable public static var frameCount: UInt64 { 1 << 36 }

    /// Makes an empty table.
    ///
    /// - Throws: `.outOfTablePages`
    public init(memory: PhysicalMemory, pages: any TablePageSource) throws(PageTableError) {
        guard let root = pages.allocateTablePage() else { throw .outOfTablePages }
        memory.zero(root)
        self.memory = memory
        self.pages = pages
        self.root = root
    }

    /// Puts the number of table frames back, after the frames' contents.
    public func restoreCount(_ count: Int) { tablePageCount = count }

    /// Gives back the frames of all tables. Nothing may walk or use the table afterwards.
    public func destroy() {
        release(root, level: 4)
    }

    /// What the table says of a frame, or nil if it is not mapped.
    @inlinable public func lookup(_ frame: UInt64) -> PageMapping? {
        guard frame < Self.frameCount else { return nil }
        var table = root
        var level: UInt64 = 4
        while true {
            let entry = entry(table, Self.index(frame, level))
            guard entry.isPresent else { return nil }
            if entry.isLeaf(atLevel: level), let size = PageLevel(rawValue: UInt8(level)) {
                let offset = frame & (size.pageCount &- 1)
                return PageMapping(pfn: PFN(entry.pfn.rawValue &+ offset), level: size, flags: entry.flags)
            }
            table = entry.pfn
            level &-= 1
        }
    }

    // MARK: Entries

    /// The place of a frame's entry in a table at this level.
    @inlinable static func index(_ frame: UInt64, _ level: UInt64) -> UInt64 { frame >> (9 &* (level &- 1)) & 511 }

    /// The number of frames that one entry of a table at this level stands for.
    @inlinable static func span(_ level: UInt64) -> UInt64 { 1 << (9 &* (level &- 1)) }

    @inlinable func entry(_ table: PFN, _ index: UInt64) -> PageTableEntry {
        PageTableEntry(rawValue: memory.loadQuadword(at: SPA(table.rawValue << 12 | index << 3)))
    }

    @inlinable func setEntry(_ table: PFN, _ index: UInt64, _ entry: PageTableEntry) {
        memory.storeQuadword(entry.rawValue, at: SPA(table.rawValue << 12 | index << 3))
    }

    /// A frame for a table, filled with zeros.
    func makeTable() throws(PageTableError) -> PFN {
        guard let table = pages.allocateTablePage() else { throw .outOfTablePages }
        memory.zero(table)
        tablePageCount += 1
        return table
    }

    /// Gives back one table's frame.
    func releaseTable(_ table: PFN) {
        tablePageCount -= 1
        pages.freeTablePage(table)
    }

    /// Whether no entry of a table is present.
    func isEmpty(_ table: PFN) -> Bool {
        for index in 0..<512 as Range<UInt64> where entry(table, index).rawValue != 0 { return false }
        return true
    }

    /// Whether a table at this level, or one below it, maps anything.
    func hasLeaves(_ table: PFN, level: UInt64) -> Bool {
        for index in 0..<512 as Range<UInt64> {
            let entry = entry(table, index)
            guard entry.isPresent else { continue }
            if entry.isLeaf(atLevel: level) || hasLeaves(entry.pfn, level: level - 1) { return true }
        }
        return false
    }

    /// Gives back the frames of a table at this level and of those below it.
    func release(_ table: PFN, level: UInt64) {
        if level > 1 {
            for index in 0..<512 as Range<UInt64> {
                let entry = entry(table, index)
                if entry.isPresent, !entry.isLeaf(atLevel: level) { release(entry.pfn, level: level - 1) }
            }
        }
        releaseTable(table)
    }

    /// The table at this level on the way to a frame, or nil if there is none.
    func table(for frame: UInt64, level target: UInt64) -> PFN? {
        var table = root
        var level: UInt64 = 4
        while level > target {
            let entry = entry(table, Self.index(frame, level))
            guard entry.isPresent, !entry.isLeaf(atLevel: level) else { return nil }
            table = entry.pfn
            level -= 1
        }
        return table
    }
}
