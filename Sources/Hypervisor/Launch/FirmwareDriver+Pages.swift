// The pages that the driver hands to firmware and takes back.

internal import Machine
public import SNPArchitecture

extension FirmwareDriver {
    var access: HostAccess { HostAccess(machine: machine, directMap: directMap) }

    /// Takes a cleared page and gives it to firmware. Never a 2 MiB aligned one: such a page in use makes hardware see
    /// false RMP violations in the mappings around it. Before firmware is initialised for SNP it stays an ordinary page.
    ///
    /// - Throws: `.noMemory`, `.pageState`
    public func allocatePage() throws(FirmwareError) -> PFN {
        guard let pfn = allocateUnalignedFrame() else { throw .noMemory }
        guard snp.current.isInitialized else {
            releaseClaim(pfn)
            return pfn
        }
        defer { releaseClaim(pfn) }
        do {
            try rmp.makeFirmware(pfn)
            return pfn
        } catch {
            if !defects.has(.refusedPageLost) { giveBack(pfn) }
            throw .pageState(error)
        }
    }

    /// Takes a cleared frame that is not 2 MiB aligned, apart from guests' memory while there is room (`FrameUse`). The
    /// direct map keeps it small until `releaseClaim`.
    func allocateUnalignedFrame() -> PFN? {
        guard var block = allocator.allocate(order: 0, for: .firmware) else { return nil }
        if block.pfn.isAligned(to: .size2M), !defects.has(.alignedFirmwarePages) {
            let aligned = block
            let second = allocator.allocate(order: 0, for: .firmware)
            allocator.free(aligned.pfn, order: 0)
            guard let second else { return nil }
            block = second
        }
        guard (try? directMap.claimSmallPages(around: block.pfn)) != nil else {
            allocator.free(block.pfn, order: 0)
            return nil
        }
        guard (try? access.clear(block.pfn)) != nil else {
            releaseClaim(block.pfn)
            allocator.free(block.pfn, order: 0)
            return nil
        }
        return block.pfn
    }

    /// The caller of `allocateUnalignedFrame` has made its RMP entry, or has failed to.
    func releaseClaim(_ pfn: PFN) { _ = directMap.release(around: pfn, rmp) }

    /// Takes a page back from firmware and frees it: PAGE_RECLAIM, then RMPUPDATE. What does not come back is leaked.
    ///
    /// - Throws: the first refusal, after leaking the page
    public func freePage(_ pfn: PFN) throws(FirmwareError) {
        if !snp.current.isInitialized, rmp.lookup(pfn)?.assigned != true { return giveBack(pfn) }
        do throws(FirmwareError) { try reclaimPage(pfn) } catch {
            leaked.leak(pfn..<(pfn + 1), reason: "PAGE_RECLAIM or RMPUPDATE of a firmware page: \(error)")
            throw error
        }
        giveBack(pfn)
    }

    /// Takes a page back from firmware; it is the host's afterwards.
    ///
    /// - Throws: `.status` (PAGE_RECLAIM), `.pageState` (RMPUPDATE)
    func reclaimPage(_ pfn: PFN, _ size: PageSize = .size4K) throws(FirmwareError) {
        try send(PageReclaimBuffer(page: pfn.address, size: size))
        var counts = RMPCounts()
        defer { rmp.record(counts) }
        do throws(RMPStatus) { try rmp.makeShared(pfn, size, counts: &counts) } catch { throw .pageState(error) }
    }

    func giveBack(_ pfn: PFN) {
        _ = directMap.restore(around: pfn, rmp)
        allocator.free(pfn, order: 0)
    }
}
