// Commit: the RMPUPDATEs of an eager conversion, and what to do when hardware refuses one.

internal import Machine
internal import SNPArchitecture

extension VirtualMachine {
    /// Gives the planned pages to the guest. When one is refused for good, those before it are taken back: the guest has
    /// validated none of them, so nothing is lost.
    func commitPrivate(_ plan: ConversionPlan, _ asid: ASID, _ counts: inout ConversionCounts) throws(ConversionFailure)
    {
        for (index, run) in plan.runs.enumerated() {
            let step = run.size.pageCount
            for page in 0..<run.count {
                do {
                    try host.rmp.makePrivate(
                        run.pfn + page &* step, run.size, gfn: run.gfn + page &* step, asid: asid, counts: &counts.rmp)
                } catch {
                    var done = Array(plan.runs[..<index])
                    if page > 0 { done.append(ConversionRun(gfn: run.gfn, pfn: run.pfn, size: run.size, count: page)) }
                    takeBack(done, &counts)
                    throw ConversionFailure(.invalidArgument, status: error, gfn: run.gfn + page &* step)
                }
            }
            counts.madePrivate &+= run.count &* step
        }
    }

    /// Undoes a commit to private. What cannot be taken back is leaked.
    private func takeBack(_ runs: [ConversionRun], _ counts: inout ConversionCounts) {
        for run in runs {
            let step = run.size.pageCount
            for page in 0..<run.count {
                let pfn = run.pfn + page &* step
                do {
                    try host.rmp.makeShared(pfn, run.size, counts: &counts.rmp)
                    counts.rolledBack &+= step
                } catch {
                    leakBacking(
                        of: run.gfn + page &* step, pageCount: step, reason: "RMPUPDATE to shared: \(error.name)")
                }
            }
        }
        counts.madePrivate = counts.madePrivate >= counts.rolledBack ? counts.madePrivate &- counts.rolledBack : 0
    }

    /// Takes the planned pages back for the host. When one is refused for good, those before it stay shared.
    func commitShared(
        _ plan: ConversionPlan, from start: GFN?, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        for run in plan.runs {
            let step = run.size.pageCount
            for page in 0..<run.count {
                do {
                    try host.rmp.makeShared(run.pfn + page &* step, run.size, counts: &counts.rmp)
                } catch {
                    let stopped = run.gfn + page &* step
                    counts.madeShared &+= page &* step
                    restoreDirectMap(ConversionRun(gfn: run.gfn, pfn: run.pfn, size: run.size, count: page), &counts)
                    let converted = start.map { $0 < stopped ? [$0..<stopped] : [] } ?? []
                    throw ConversionFailure(.invalidArgument, status: error, gfn: stopped, converted: converted)
                }
            }
            counts.madeShared &+= run.count &* step
            restoreDirectMap(run, &counts)
        }
    }

    /// Joins direct-map mappings of regions in which nothing is assigned any more.
    func restoreDirectMap(_ run: ConversionRun, _ counts: inout ConversionCounts) {
        guard run.count > 0, run.size == .size4K else { return }
        var head = run.pfn.aligned(down: .size2M)
        while head < run.pfn + run.count {
            counts.directMapCollapses &+= host.directMap.restore(around: head, host.rmp)
            head = head + 512
        }
    }

    /// Takes the backing of guest frames out of use for ever. Caller holds the slots' and the backing lock.
    func leakBacking(of gfn: GFN, pageCount: UInt64, reason: String) {
        guard let slot = slot(containing: gfn), let file = slot.guestMemory else { return }
        let index = slot.guestIndex(of: gfn)
        guard let folio = file.folios.folio(at: index) else { return }
        if folio.pageCount > 512 { file.folios.split(folio, to: 9) }
        guard let part = file.folios.folio(at: index) else { return }
        if part.pageCount > pageCount { file.folios.split(part, to: 0) }
        file.folios.forEach(in: index..<index + pageCount) { folio in
            file.folios.remove(folio)
            host.leaked.leak(folio.pfn..<(folio.pfn + folio.pageCount), reason: reason)
        }
    }
}
