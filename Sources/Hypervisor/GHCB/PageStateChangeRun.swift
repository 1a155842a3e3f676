// The progress of a page state change through its buffer. Works on a copy: the guest may rewrite the buffer at any time, and
// only the header's current entry and the entries' current pages go back to it.
//
// The entries are never changed: what is before the current entry is done. So a step costs what it looks at, and a copy of
// the progress, which every exit to user space keeps, costs nothing.

internal import SNPArchitecture

/// A page state change under way.
struct PageStateChangeRun: Hashable {
    /// A run of entries that user space converts in one call.
    struct Batch: Hashable {
        /// The entries.
        var entries: Range<Int>
        /// The first page.
        var gfn: GFN
        /// The number of 4 KiB pages.
        var pageCount: UInt64
        /// Private or shared.
        var attribute: MemoryAttribute
        /// The size flag of the first entry.
        var size: PageSize
    }

    /// What to do next.
    enum Step: Hashable {
        /// User space converts this.
        case convert(Batch)
        /// The guest hears this.
        case end(PageStateChangeResult)
    }

    /// The header, as far as it has come.
    private(set) var header: PageStateChangeHeader
    /// The entries up to the last that counts.
    let entries: [PageStateChangeEntry]
    /// Reserved bits and operations without meaning are refused.
    private let isStrict: Bool

    /// Reads a buffer.
    ///
    /// - Parameter bytes: from the header as far as the buffer may go
    /// - Spec: GHCB 56421, "SNP page state change"; Linux: `snp_begin_psc()`
    /// - Returns: nil for an invalid header: no room for one, the last entry past the buffer or past the 253rd, or, if strict,
    ///   reserved bits
    init?(_ bytes: [UInt8], isStrict: Bool) {
        let quadwords = bytes.count / PageStateChangeBuffer.quadwordByteCount
        guard quadwords > 0 else { return nil }
        header = PageStateChangeHeader(rawValue: bytes.integer(at: 0))
        let capacity = min(quadwords - 1, PageStateChangeBuffer.maximumEntryCount)
        guard header.endEntry < capacity else { return nil }
        guard !isStrict || header.reserved == 0 else { return nil }
        entries = (0...Int(header.endEntry)).map { index in
            PageStateChangeEntry(
                rawValue: bytes.integer(at: (index + 1) * PageStateChangeBuffer.quadwordByteCount))
        }
        self.isStrict = isStrict
    }

    /// Goes on to the next run of pages that user space must convert. Entries that are done, and hints, are passed over.
    ///
    /// - Returns: in check order, for each entry: `invalidEntry` (more pages done than it has), `invalidEntry` (frame not
    ///   aligned to its size), `invalidEntry` (reserved bits or an unknown operation, if strict)
    mutating func next() -> Step {
        while header.currentEntry <= header.endEntry {
            let index = Int(header.currentEntry)
            let first = entries[index]
            guard first.currentPage <= first.size.pageCount else { return .end(.invalidEntry) }
            guard first.gfn.isAligned(to: first.size) else { return .end(.invalidEntry) }
            guard !isStrict || first.isDefined else { return .end(.invalidEntry) }
            if first.currentPage == first.size.pageCount {
                header.currentEntry += 1
                continue
            }
            guard let attribute = first.operation.attribute else {
                // Hints, and what KVM does not know, are done as soon as they are read.
                complete(index..<index + 1)
                continue
            }
            return .convert(batch(from: index, attribute))
        }
        return .end(.processed)
    }

    /// Merges the entries that follow in one run of frames. What is left of an entry that was begun stays by itself.
    private func batch(from index: Int, _ attribute: MemoryAttribute) -> Batch {
        let first = entries[index]
        var batch = Batch(
            entries: index..<index + 1, gfn: first.gfn + UInt64(first.currentPage),
            pageCount: first.size.pageCount - UInt64(first.currentPage), attribute: attribute, size: first.size)
        guard first.currentPage == 0 else { return batch }
        for next in (index + 1)..<entries.count {
            let entry = entries[next]
            guard entry.operation == first.operation, entry.size == first.size, entry.currentPage == 0,
                entry.gfn == batch.gfn + batch.pageCount, !isStrict || entry.isDefined
            else { break }
            batch.entries = index..<next + 1
            batch.pageCount += entry.size.pageCount
        }
        return batch
    }

    /// The pages of some entries are converted, or need not be.
    mutating func complete(_ done: Range<Int>) { header.currentEntry = UInt16(done.upperBound) }

    /// Entries as the guest finds them once their pages are done.
    func doneBytes(_ done: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(done.count * PageStateChangeBuffer.quadwordByteCount)
        for index in done {
            var entry = entries[index]
            entry.currentPage = UInt16(entry.size.pageCount)
            for shift in stride(from: 0, to: 64, by: 8) as StrideTo<UInt64> {
                bytes.append(UInt8(truncatingIfNeeded: entry.rawValue >> shift))
            }
        }
        return bytes
    }
}

extension PageStateChangeEntry {
    /// No reserved bit, and an operation that the specification names.
    fileprivate var isDefined: Bool { reserved == 0 && (1...4).contains(operation.rawValue) }
}

extension PageStateOperation {
    /// What the page becomes, or nil for a hint.
    fileprivate var attribute: MemoryAttribute? {
        switch self {
        case .makePrivate: .private
        case .makeShared: .shared
        default: nil
        }
    }
}
