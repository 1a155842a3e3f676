// Nested page faults with the RMP bit: the nested mapping and the RMP disagree about a page's size.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// Resolves a disagreement by splitting the RMP entry and zapping the region, so that the next access maps afresh.
    /// A spurious fault, already resolved by another virtual CPU, is nothing to do.
    ///
    /// - Spec: patch 44 of the series; Linux: `sev_handle_rmp_fault()`
    func handleRMPFault(_ gfn: GFN) {
        var counts = ConversionCounts()
        defer { record(counts) }
        let slot = nested.lock.withLock {
            attributes.attribute(of: gfn) == .private ? self.slot(containing: gfn) : nil
        }
        guard let slot, let file = slot.guestMemory else { return }
        let smashed = backing.withLock { () -> Bool in
            guard let pfn = file.folios.frame(at: slot.guestIndex(of: gfn)), let entry = host.rmp.lookup(pfn),
                entry.assigned, entry.pageSize == .size2M
            else { return false }
            guard let splits = try? host.directMap.claimSmallPages(around: pfn) else { return false }
            counts.directMapSplits &+= splits
            defer { counts.directMapCollapses &+= host.directMap.release(around: pfn, host.rmp) }
            return (try? host.rmp.smash(pfn, counts: &counts.rmp)) != nil
        }
        guard smashed else { return }
        let head = gfn.aligned(down: .size2M)
        let range = head..<(head + 512)
        counts.zaps &+= beginInvalidation(range, &counts.tlbFlushes)
        endInvalidation(range)
    }
}
