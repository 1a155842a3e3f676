// Prepare: every look-up, every refusal, every PSMASH, every direct-map split of an eager conversion.

internal import Machine
internal import SNPArchitecture

extension VirtualMachine {
    /// Plans the way to private: the largest pages that folio, range and both alignments allow. Pages that are this guest's
    /// at the right address already are left alone.
    func preparePrivate(
        _ ranges: [SlotRange], _ asid: ASID, _ plan: inout ConversionPlan, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        for range in ranges {
            guard let file = range.slot.guestMemory else { continue }
            counts.skipped &+= try range.forEachExtent(file) { extent throws(ConversionFailure) in
                try extent.forEachRegion { region throws(ConversionFailure) in
                    try preparePrivate(region, asid, &plan, &counts)
                }
            }
        }
    }

    /// One extent inside one 2 MiB region.
    @inline(__always)
    private func preparePrivate(
        _ extent: Extent, _ asid: ASID, _ plan: inout ConversionPlan, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        if extent.allows2M {
            let entry = try entry(of: extent.pfn, extent.gfn)
            if entry.assigned && entry.pageSize == .size2M {
                try checkOwned(entry, extent.gfn, asid)
                return
            }
            if !entry.regionHasAssignedPages && !entry.immutable {
                plan.append(extent.gfn, extent.pfn, .size2M)
                return
            }
        }
        var needsSmallMapping = false
        for offset in 0..<extent.count {
            let gfn = extent.gfn + offset
            let entry = try entry(of: extent.pfn + offset, gfn)
            if entry.assigned || entry.immutable {
                try checkOwned(entry, gfn, asid)
            } else {
                plan.append(gfn, extent.pfn + offset, .size4K)
                needsSmallMapping = true
            }
        }
        if needsSmallMapping { try splitDirectMap(extent.pfn, extent.gfn, &plan, &counts) }
    }

    /// Plans the way to shared. A 2M entry that the range covers whole is one update; one covered in part is smashed here.
    func prepareShared(
        _ ranges: [SlotRange], _ asid: ASID, _ plan: inout ConversionPlan, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        for range in ranges {
            guard let file = range.slot.guestMemory else { continue }
            let skipped = try range.forEachExtent(file) { extent throws(ConversionFailure) in
                try extent.forEachRegion { region throws(ConversionFailure) in
                    try prepareShared(region, asid, &plan, &counts)
                }
            }
            counts.skipped &+= skipped
            if skipped > 0, host.has(.holeRefused) {
                throw ConversionFailure(.invalidArgument, gfn: range.frames.lowerBound)
            }
        }
    }

    @inline(__always)
    private func prepareShared(
        _ extent: Extent, _ asid: ASID, _ plan: inout ConversionPlan, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        let first = try entry(of: extent.pfn, extent.gfn)
        guard first.regionHasAssignedPages else { return }
        if first.assigned && first.pageSize == .size2M {
            try checkOwned(first, extent.gfn, asid)
            if extent.count == 512 {
                plan.append(extent.gfn, extent.pfn, .size2M)
                return
            }
            try splitDirectMap(extent.pfn, extent.gfn, &plan, &counts)
            do { try host.rmp.smash(extent.pfn, counts: &counts.rmp) } catch {
                throw ConversionFailure(.invalidArgument, status: error, gfn: extent.gfn)
            }
        }
        for offset in 0..<extent.count {
            let gfn = extent.gfn + offset
            let entry = try entry(of: extent.pfn + offset, gfn)
            guard entry.assigned else { continue }
            try checkOwned(entry, gfn, asid)
            plan.append(gfn, extent.pfn + offset, .size4K)
        }
    }

    @inline(__always)
    private func entry(of pfn: PFN, _ gfn: GFN) throws(ConversionFailure) -> RMPLookup {
        guard let entry = host.rmp.lookup(pfn) else { throw ConversionFailure(.invalidArgument, gfn: gfn) }
        return entry
    }

    /// An assigned page of the range must be this guest's, at this address, and not in firmware's hands.
    @inline(__always)
    private func checkOwned(_ entry: RMPLookup, _ gfn: GFN, _ asid: ASID) throws(ConversionFailure) {
        guard entry.assigned, entry.asid == asid, entry.gfn == gfn, !entry.immutable else {
            throw ConversionFailure(.invalidArgument, gfn: gfn)
        }
    }

    private func splitDirectMap(
        _ pfn: PFN, _ gfn: GFN, _ plan: inout ConversionPlan, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        do { counts.directMapSplits &+= try host.directMap.claimSmallPages(around: pfn) } catch {
            throw ConversionFailure(error, gfn: gfn)
        }
        plan.claims.append(pfn)
    }

    /// Ends what the plan asked of the direct map: regions in which nothing is assigned, after all, are joined again.
    func releaseDirectMap(_ plan: ConversionPlan, _ counts: inout ConversionCounts) {
        for pfn in plan.claims { counts.directMapCollapses &+= host.directMap.release(around: pfn, host.rmp) }
    }
}
