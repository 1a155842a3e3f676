// A look at nested tables that changes nothing: every entry on the way, for explanations and traces.

public import SNPArchitecture

/// One entry that a walk reads.
@frozen public struct WalkedEntry: Hashable, Sendable {
    /// The level of its table, 4 to 1.
    public var level: UInt64
    /// Where it lies.
    public var address: SPA
    /// The entry.
    public var entry: PageTableEntry
    /// It maps a page.
    public var isLeaf: Bool
}

/// A walk of nested tables, entry by entry.
@frozen public struct NestedWalkRecord: Hashable, Sendable {
    /// How a walk ends.
    @frozen public enum Ending: Hashable, Sendable {
        /// At a page: the 4 KiB frame and the level of its mapping.
        case page(PFN, PageLevel)
        /// At an entry that is not present.
        case notPresent
        /// At an entry with a reserved bit set, by which the host marks device pages.
        case reservedBits
        /// At an address that four levels cannot name, or a table outside DRAM.
        case outside
    }
    /// The entries, from the top.
    public var entries: [WalkedEntry]
    /// How it ends.
    public var ending: Ending

    /// Whether every entry on the way has a flag.
    public func allows(_ flag: PageFlags) -> Bool { entries.allSatisfy { $0.entry.rawValue & flag.rawValue != 0 } }
    /// Whether any entry on the way forbids instruction fetches.
    public var forbidsExecute: Bool { entries.contains { $0.entry.rawValue & PageFlags.noExecute.rawValue != 0 } }
    /// The frame that the walk leads to.
    public var pfn: PFN? {
        guard case .page(let pfn, _) = ending else { return nil }
        return pfn
    }
}

extension PhysicalMemory {
    /// Walks four levels of tables as `walk` does, but marks nothing and judges nothing.
    public func record(root: PFN, address: UInt64) -> NestedWalkRecord {
        var record = NestedWalkRecord(entries: [], ending: .outside)
        guard address < 1 << 48 else { return record }
        var table = root
        var level: UInt64 = 4
        while contains(table) {
            let spa = SPA(table.rawValue << 12 | PageTable.index(address >> 12, level) << 3)
            let entry = PageTableEntry(rawValue: loadQuadword(at: spa))
            let isLeaf = entry.isLeaf(atLevel: level)
            record.entries.append(WalkedEntry(level: level, address: spa, entry: entry, isLeaf: isLeaf))
            guard entry.isPresent else {
                record.ending = .notPresent
                return record
            }
            guard !entry.hasReservedBits(atLevel: level) else {
                record.ending = .reservedBits
                return record
            }
            if isLeaf, let size = PageLevel(rawValue: UInt8(level)) {
                let start = entry.pfn.rawValue & ~(size.pageCount - 1)
                record.ending = .page(PFN(start | address >> 12 & (size.pageCount - 1)), size)
                return record
            }
            guard level > 1 else { return record }
            table = entry.pfn
            level -= 1
        }
        return record
    }
}
