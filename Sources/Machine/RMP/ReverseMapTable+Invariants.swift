// What must hold of the RMP at any moment, found by a recount that trusts no counter.

internal import SNPArchitecture

extension ReverseMapTable {
    /// Recounts the table: sub-page counts, per-ASID counters, and the sense of each entry. Reads every entry of the table.
    ///
    /// - Parameter limit: stop after so many findings
    /// - Returns: what is wrong, in words; empty when all is well
    public func findViolations(limit: Int = 32) -> [String] {
        var findings: [String] = []
        var pages = [UInt64](repeating: 0, count: Int(ASID.maximum.rawValue) + 1)
        var pfn = PFN(0)
        while pfn.rawValue < coveredFrameCount, findings.count < limit {
            let count = min(512, coveredFrameCount - pfn.rawValue)
            // A region without a single bit is the common case: nothing to count.
            if covers(pfn), !isAllZero(pfn, count) { recount(pfn, count, &pages, &findings) }
            pfn = pfn + 512
        }
        if findings.count < limit {
            for (asid, counted) in pages.enumerated().dropFirst() {
                let kept = assignedPageCount(of: ASID(UInt32(asid)))
                if kept != counted {
                    findings.append("the counter of ASID \(asid) is \(kept), a recount gives \(counted)")
                }
            }
        }
        return findings
    }

    /// The entries of one 2 MiB region.
    private func recount(_ head: PFN, _ count: UInt64, _ pages: inout [UInt64], _ findings: inout [String]) {
        let first = entry(head)
        let isLarge = first.assigned && first.pageSize == .size2M
        var assigned = 0
        for offset in 0..<count {
            let pfn = head + offset
            let raw = rawEntry(pfn)
            let entry = raw.decoded
            if isLarge && offset > 0 {
                if raw != RMPEntryRaw(low: 0, high: 0) {
                    findings.append("frame \(pfn) has an entry inside a 2M page: \(entry)")
                }
                continue
            }
            if entry.state == .invalid { findings.append("frame \(pfn) is in no state that firmware knows: \(entry)") }
            if offset > 0 && entry.pageSize == .size2M { findings.append("frame \(pfn) is 2M and not aligned") }
            if offset > 0 && entry.subpageCount != 0 { findings.append("frame \(pfn) has a sub-page count") }
            guard entry.assigned else { continue }
            if offset > 0 { assigned += 1 }
            if entry.asid != .host { pages[Int(entry.asid.rawValue)] += entry.pageSize.pageCount }
        }
        if Int(first.subpageCount) != assigned {
            findings.append("the region at \(head) counts \(first.subpageCount) sub-pages, a recount gives \(assigned)")
        }
    }

    private func isAllZero(_ head: PFN, _ count: UInt64) -> Bool {
        let p = unsafe UnsafeRawPointer(entryPointer(head))
        // SAFETY: the region's entries lie inside the table, which lives as long as self.
        return unsafe UnsafeBufferPointer(start: p.assumingMemoryBound(to: UInt64.self), count: Int(count) * 2).reduce(
            0, |) == 0
    }
}
