// Which frames back which pages of a memory file: folios of 2^order pages, as the page cache holds them.
//
// Folios of 2 MiB and more have one word for each 2 MiB of the file, smaller ones a word for each page: a file of 1 TiB in
// 2 MiB folios costs 4 MiB.

internal import Machine
public import SNPArchitecture

/// A run of pages of a memory file that lies in one run of frames.
@frozen public struct Folio: Hashable, Sendable {
    /// The page of the file at which it starts, a multiple of its size.
    public var index: UInt64
    /// The frame at which it starts, a multiple of its size.
    public var pfn: PFN
    /// It has 2^order pages.
    public var order: UInt8
    /// Its bytes have been cleared since it was allocated.
    public var isCleared: Bool
    /// The number of pages.
    @inlinable public var pageCount: UInt64 { 1 << UInt64(order) }

    @inlinable init(index: UInt64, word: UInt64) {
        order = UInt8(truncatingIfNeeded: word >> 3 & 0x1f)
        self.index = index & ~(1 << UInt64(order) &- 1)
        pfn = PFN((word >> 12) & ~(1 << UInt64(order) &- 1))
        isCleared = word & 2 != 0
    }
}

/// The folios of one file. The owner's lock guards it.
final class Folios {
    let pageCount: UInt64
    /// One word for each 2 MiB: a folio of order 9 or 18, or in bits 63:12 how many pages small folios back.
    private let large: ReservedTable
    /// One word for each page: folios of order 0 to 8. Present bit 0, cleared 1, order 7:3, this page's own frame 63:12.
    private let small: ReservedTable

    init(pageCount: UInt64) throws(MachineError) {
        self.pageCount = pageCount
        large = try ReservedTable(count: Int(pageCount >> 9) + 1)
        small = try ReservedTable(count: Int(pageCount))
    }

    /// The folio that holds a page, or nil if nothing backs it.
    @inline(__always)
    func folio(at index: UInt64) -> Folio? {
        let word = large[Int(truncatingIfNeeded: index >> 9)]
        if word & 1 != 0 { return Folio(index: index, word: word) }
        let page = small[Int(truncatingIfNeeded: index)]
        return page & 1 != 0 ? Folio(index: index, word: page) : nil
    }

    /// The frame that backs a page.
    @inline(__always)
    func frame(at index: UInt64) -> PFN? { folio(at: index).map { $0.pfn + (index - $0.index) } }

    /// Puts a folio where there is none.
    func insert(_ folio: Folio) {
        precondition(
            folio.index & (folio.pageCount - 1) == 0 && folio.pfn.rawValue & (folio.pageCount - 1) == 0, "aligned")
        precondition(folio.index + folio.pageCount <= pageCount, "inside the file")
        store(folio)
        countSmall(folio, 1)
    }

    /// Records that a folio's bytes have been cleared.
    func markCleared(_ folio: Folio) {
        var folio = folio
        folio.isCleared = true
        store(folio)
    }

    private func store(_ folio: Folio) {
        let flags: UInt64 = 1 | (folio.isCleared ? 2 : 0) | UInt64(folio.order) << 3
        if folio.order >= 9 {
            for chunk in 0..<folio.pageCount >> 9 {
                large[Int((folio.index >> 9) + chunk)] = flags | (folio.pfn.rawValue + chunk << 9) << 12
            }
        } else {
            for page in 0..<folio.pageCount {
                small[Int(folio.index + page)] = flags | (folio.pfn.rawValue + page) << 12
            }
        }
    }

    private func countSmall(_ folio: Folio, _ sign: Int64) {
        guard folio.order < 9 else { return }
        let chunk = Int(folio.index >> 9)
        large[chunk] = large[chunk] &+ UInt64(bitPattern: sign &* Int64(folio.pageCount) &<< 12)
    }

    /// Takes a folio out.
    func remove(_ folio: Folio) {
        countSmall(folio, -1)
        if folio.order >= 9 {
            for chunk in 0..<folio.pageCount >> 9 { large[Int((folio.index >> 9) + chunk)] = 0 }
        } else {
            for page in 0..<folio.pageCount { small[Int(folio.index + page)] = 0 }
        }
    }

    /// Cuts a folio into folios of a smaller order over the same frames.
    func split(_ folio: Folio, to order: UInt8) {
        remove(folio)
        var index = folio.index
        while index < folio.index + folio.pageCount {
            insert(
                Folio(index: index, pfn: folio.pfn + (index - folio.index), order: order, isCleared: folio.isCleared))
            index += 1 << UInt64(order)
        }
    }

    /// Calls `body` with each folio that touches the range, in order. `body` may remove the folio it was given.
    func forEach<E: Error>(in range: Range<UInt64>, _ body: (Folio) throws(E) -> Void) throws(E) {
        var index = range.lowerBound
        while index < range.upperBound {
            if let folio = folio(at: index) {
                try body(folio)
                index = folio.index + folio.pageCount
            } else if large[Int(index >> 9)] == 0 {
                index = (index | 511) + 1
            } else {
                index += 1
            }
        }
    }
}

extension Folio {
    /// Makes a folio.
    init(index: UInt64, pfn: PFN, order: UInt8, isCleared: Bool) {
        self.index = index
        self.pfn = pfn
        self.order = order
        self.isCleared = isCleared
    }
}
