// Walking all that a table maps: for invariants, pictures and tests.

internal import SNPArchitecture

extension PageTable {
    /// Calls `body` with each leaf: its first frame, and its mapping. In order of frame.
    public func forEachLeaf(_ body: (UInt64, PageMapping) -> Void) {
        visit(root, level: 4, base: 0, body)
    }

    private func visit(_ table: PFN, level: UInt64, base: UInt64, _ body: (UInt64, PageMapping) -> Void) {
        for index in 0..<512 as Range<UInt64> {
            let entry = entry(table, index)
            guard entry.isPresent else { continue }
            let frame = base + index << (9 * (level - 1))
            if entry.isLeaf(atLevel: level), let size = PageLevel(rawValue: UInt8(level)) {
                body(frame, PageMapping(pfn: entry.pfn, level: size, flags: entry.flags))
            } else {
                visit(entry.pfn, level: level - 1, base: frame, body)
            }
        }
    }
}
