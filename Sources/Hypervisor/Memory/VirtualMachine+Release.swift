// Freeing the frames of a guest memory file: back from the RMP first, then to the allocator, or leaked.

internal import Machine
internal import SNPArchitecture

extension VirtualMachine {
    /// Takes a folio's frames back from the guest and frees them. A frame that the RMP does not give back is leaked and the
    /// machine is dead. Caller holds the locks; nothing maps the folio.
    ///
    /// - Spec: patches 23 and 50 of the series; Linux: `sev_gmem_invalidate()`
    func releaseFolio(_ folio: Folio) {
        var counts = ConversionCounts()
        defer { record(counts) }
        if folio.order >= 9 {
            var lost = false
            for chunk in 0..<folio.pageCount >> 9 where !takeBackRegion(folio.pfn + chunk << 9, &counts) { lost = true }
            if !lost { return host.allocator.free(folio.pfn, order: folio.order) }
            return freeAllButLeaked(folio)
        }
        let lost = (0..<folio.pageCount).reduce(false) { lost, page in !takeBackPage(folio.pfn + page, &counts) || lost
        }
        restoreDirectMap(ConversionRun(gfn: GFN(0), pfn: folio.pfn, size: .size4K, count: folio.pageCount), &counts)
        if lost { freeAllButLeaked(folio) } else { host.allocator.free(folio.pfn, order: folio.order) }
    }

    private func freeAllButLeaked(_ folio: Folio) {
        for page in 0..<folio.pageCount where !host.leaked.contains(folio.pfn + page) {
            host.allocator.free(folio.pfn + page, order: 0)
        }
    }

    /// Takes back whatever of a 2 MiB region is assigned. False if something stayed.
    private func takeBackRegion(_ head: PFN, _ counts: inout ConversionCounts) -> Bool {
        guard let entry = host.rmp.lookup(head), entry.regionHasAssignedPages else { return true }
        if entry.assigned && entry.pageSize == .size2M { return takeBack(head, .size2M, entry.immutable, &counts) }
        var isComplete = true
        for page in 0..<512 as Range<UInt64> where !takeBackPage(head + page, &counts) { isComplete = false }
        restoreDirectMap(ConversionRun(gfn: GFN(0), pfn: head, size: .size4K, count: 512), &counts)
        return isComplete
    }

    /// Takes one 4 KiB page back, out of a 2 MiB entry if need be. False if it stayed and was leaked.
    private func takeBackPage(_ pfn: PFN, _ counts: inout ConversionCounts) -> Bool {
        guard let entry = host.rmp.lookup(pfn), entry.assigned else { return true }
        if entry.pageSize == .size2M {
            // The rest of the region stays the guest's, in 4 KiB entries: the host must map it small to write beside it.
            guard let splits = try? host.directMap.claimSmallPages(around: pfn) else {
                leak(pfn, .size4K, "no table for the direct map")
                return false
            }
            counts.directMapSplits &+= splits
            defer { counts.directMapCollapses &+= host.directMap.release(around: pfn, host.rmp) }
            do { try host.rmp.smash(pfn, counts: &counts.rmp) } catch {
                if host.has(.smashFailureIgnored) { return true }
                leak(pfn, .size4K, "PSMASH: \(error.name)")
                return false
            }
        }
        return takeBack(pfn, .size4K, entry.immutable, &counts)
    }

    private func takeBack(_ pfn: PFN, _ size: PageSize, _ immutable: Bool, _ counts: inout ConversionCounts) -> Bool {
        do {
            if immutable {
                try host.firmware.reclaimPage(pfn, size)
            } else {
                try host.rmp.makeShared(pfn, size, counts: &counts.rmp)
            }
            counts.madeShared &+= size.pageCount
            return true
        } catch {
            if host.has(.lostPageFreed) { return true }
            leak(pfn, size, "\(error)")
            return false
        }
    }

    private func leak(_ pfn: PFN, _ size: PageSize, _ reason: String) {
        host.leaked.leak(pfn..<(pfn + size.pageCount), reason: "a freed page did not come back: \(reason)")
        if host.has(.tailPagesLeaked), size == .size2M { host.leaked.leak((pfn + 1)..<(pfn + 512), reason: reason) }
        kill("page \(pfn) could not be taken back: \(reason)")
    }
}
