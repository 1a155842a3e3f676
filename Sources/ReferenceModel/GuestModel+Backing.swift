// Backing: folios come into a file, and ranges of a file are freed.

internal import SNPArchitecture

extension GuestModel {
    /// Notes that a folio of 2^order pages now backs a file from a page on.
    ///
    /// - Returns: false if that cannot be: unaligned, past the end of the file, or something is there already
    public mutating func back(_ first: BackingPage, order: UInt8) -> Bool {
        let count = UInt64(1) << UInt64(order)
        guard first.index % count == 0, first.index + count <= filePageCounts[first.file] else { return false }
        let pages = (0..<count).map { BackingPage(file: first.file, index: first.index + $0) }
        guard pages.allSatisfy({ folioOrder[$0] == nil }) else { return false }
        for page in pages { folioOrder[page] = order }
        return true
    }

    /// Frees a range of a file's pages: each goes back to the host, or is lost and the machine dead.
    public mutating func punchHole(file: Int, _ indices: Range<UInt64>, failure: InjectedFailure? = nil) {
        let indices = indices.clamped(to: 0..<filePageCounts[file])
        for slot in slots {
            guard let first = slot.backing, first.file == file else { continue }
            let backed = slot.frames.filter {
                indices.contains(first.index + $0.rawValue - slot.frames.lowerBound.rawValue)
            }
            if let low = backed.first, let high = backed.last { zap(low..<GFN(high.rawValue + 1)) }
        }
        var instructions = Instructions(failure)
        splitFolios(file: file, around: indices)
        var index = indices.lowerBound
        while index < indices.upperBound {
            let page = BackingPage(file: file, index: index)
            let freed = free(page, indices, &instructions)
            index += UInt64(freed)
        }
    }

    /// Frees one page, or 2 MiB that go whole. Returns how many pages that was.
    private mutating func free(
        _ page: BackingPage, _ indices: Range<UInt64>, _ instructions: inout Instructions
    ) -> Int {
        guard folioOrder[page] != nil else { return 1 }
        guard owned[page] != nil else {
            folioOrder[page] = nil
            return 1
        }
        var pages = [page]
        if large.contains(page.blockHead) {
            let all = block(page.blockHead)
            if page == page.blockHead, all.allSatisfy({ indices.contains($0.index) && (folioOrder[$0] ?? 0) >= 9 }) {
                pages = all
            } else if instructions.smash() {
                large.remove(page.blockHead)
            } else {
                lose(pages)
                return 1
            }
        }
        if instructions.update() {
            for page in pages {
                takeBack(page)
                folioOrder[page] = nil
            }
        } else {
            lose(pages)
        }
        return pages.count
    }

    private mutating func lose(_ pages: [BackingPage]) {
        for page in pages { leak(page) }
        isDead = true
    }

    /// A folio of which only part is freed is no folio any more: what is left are whole 2 MiB of a larger one, and single
    /// pages.
    private mutating func splitFolios(file: Int, around indices: Range<UInt64>) {
        for edge in [indices.lowerBound, indices.upperBound] {
            guard edge > 0, edge < filePageCounts[file] else { continue }
            let (before, after) = (BackingPage(file: file, index: edge - 1), BackingPage(file: file, index: edge))
            guard let order = folioOrder[before], folioOrder[after] == order, edge % (1 << UInt64(order)) != 0 else {
                continue
            }
            splitFolio(of: after, to: edge % 512 == 0 ? 512 : 1)
        }
    }

    /// Splits the folio that holds a page, so that a part of 512 or 1 pages can leave it.
    mutating func splitFolio(of page: BackingPage, to pageCount: Int) {
        guard let order = folioOrder[page] else { return }
        let size = UInt64(1) << UInt64(order)
        let first = page.index / size * size
        for index in first..<first + size {
            let part = BackingPage(file: page.file, index: index)
            let isInPlace = pageCount == 512 || part.blockHead == page.blockHead
            if order > 9, pageCount == 512 || !isInPlace {
                folioOrder[part] = 9
            } else if order <= 9, pageCount == 512 {
                folioOrder[part] = order
            } else {
                folioOrder[part] = 0
            }
        }
    }
}
