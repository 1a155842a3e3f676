// Binding a guest_memfd whose pages the RMP gives to the guest already, at another address or under another attribute.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// Brings the pages that a new slot will show in line with the slot, before the file is bound to it.
    ///
    /// The RMP keeps a page's guest address when its slot is deleted. If the same address shows the page again, nothing is
    /// to do and the guest finds its data. Elsewhere the guest could only fault on it: so the eager policy takes such a page
    /// back, and its first fault assigns it anew. It also takes back a page whose address became shared while no slot showed
    /// it. Other policies leave everything to faults, as Linux does. Caller holds the slots' and the backing lock; nothing
    /// maps the pages.
    ///
    /// - Throws: ENOMEM (direct map), EINVAL (RMPUPDATE or PSMASH refused for good, or firmware holds the page); what was
    ///   taken back stays so, and the file is not bound
    /// - Deviates: Linux does nothing here under any policy, and maps a page that is assigned at another address, on which the
    ///   guest faults for ever; here that fault goes to the VMM with EINVAL
    func takeBackMisplaced(_ slot: MemorySlot, _ file: GuestMemory) throws(Errno) {
        guard kind == .snp, policy.isEager, policy.preparesAtFault, let asid else { return }
        var counts = ConversionCounts()
        defer { record(counts) }
        var leavesPages = false
        for run in nested.lock.withLock({ attributes.runs(in: slot.frames) }) {
            let range = SlotRange(slot: slot, frames: run.range)
            _ = try range.forEachExtent(file) { extent throws(Errno) in
                try extent.forEachRegion { region throws(Errno) in
                    try takeBackMisplaced(region, run.attribute, asid, &counts)
                    guard run.attribute == .private, !leavesPages else { return }
                    leavesPages = hasUnassignedPages(region)
                }
            }
        }
        if leavesPages { file.leavesPagesToFaults = true }
    }

    private func hasUnassignedPages(_ region: Extent) -> Bool {
        if let first = host.rmp.lookup(region.pfn), first.assigned, first.pageSize == .size2M { return false }
        return (0..<region.count).contains { host.rmp.lookup(region.pfn + $0)?.assigned != true }
    }

    /// The pages of one 2 MiB region of host frames.
    private func takeBackMisplaced(
        _ region: Extent, _ attribute: MemoryAttribute, _ asid: ASID, _ counts: inout ConversionCounts
    ) throws(Errno) {
        guard let first = host.rmp.lookup(region.pfn) else { throw .invalidArgument }
        guard first.regionHasAssignedPages else { return }
        func isInPlace(_ entry: RMPLookup, _ gfn: GFN) -> Bool {
            !entry.assigned || attribute == .private && entry.asid == asid && entry.gfn == gfn && !entry.immutable
        }
        let isLarge = first.assigned && first.pageSize == .size2M
        if isLarge, isInPlace(first, region.gfn) { return }
        if isLarge, region.count == 512 { return try takeBackMisplaced(region.pfn, .size2M, &counts) }
        counts.directMapSplits &+= try host.directMap.claimSmallPages(around: region.pfn)
        defer { counts.directMapCollapses &+= host.directMap.release(around: region.pfn, host.rmp) }
        if isLarge {
            do { try host.rmp.smash(region.pfn, counts: &counts.rmp) } catch { throw .invalidArgument }
        }
        for offset in 0..<region.count {
            guard let entry = host.rmp.lookup(region.pfn + offset) else { throw .invalidArgument }
            guard !isInPlace(entry, region.gfn + offset) else { continue }
            try takeBackMisplaced(region.pfn + offset, .size4K, &counts)
        }
    }

    private func takeBackMisplaced(_ pfn: PFN, _ size: PageSize, _ counts: inout ConversionCounts) throws(Errno) {
        do { try host.rmp.makeShared(pfn, size, counts: &counts.rmp) } catch { throw .invalidArgument }
        counts.madeShared &+= size.pageCount
    }
}
