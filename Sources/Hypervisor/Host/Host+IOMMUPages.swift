// The IOMMUs' buffers: firmware's while SNP is on. The host keeps their neighbours writable, and takes them back after.

internal import Machine
internal import SNPArchitecture

extension Host {
    /// Maps the regions around the IOMMUs' buffers with 4 KiB pages: firmware is about to take the buffers.
    ///
    /// - Throws: `.noMemory`; then nothing is claimed
    func claimIOMMURegions() throws(SNPInitializationError) {
        let regions = Set(machine.iommu.buffers.joined().map { $0.aligned(down: .size2M) }).sorted()
        for region in regions where machine.memory.contains(region.address, count: 4096) {
            guard (try? directMap.claimSmallPages(around: region)) != nil else {
                releaseIOMMURegions()
                throw .noMemory
            }
            snp.change { $0.iommuRegions.append(region) }
        }
    }

    /// Ends what `claimIOMMURegions` began.
    func releaseIOMMURegions() {
        for region in snp.current.iommuRegions { _ = directMap.release(around: region, rmp) }
        snp.change { $0.iommuRegions = [] }
    }

    /// Takes the IOMMUs' buffers back after SNP_SHUTDOWN_EX, which has made them Reclaim: one RMPUPDATE for each page. What
    /// does not come back is leaked.
    ///
    /// - Spec: patch 56 of the series; Linux: `amd_iommu_snp_disable()`
    func takeBackIOMMUPages() {
        var counts = RMPCounts()
        defer { rmp.record(counts) }
        for pfn in machine.iommu.buffers.joined() where !has(.iommuPagesKept) {
            guard let entry = rmp.lookup(pfn), entry.assigned else { continue }
            do throws(RMPStatus) { try rmp.makeShared(pfn, .size4K, counts: &counts) } catch {
                leaked.leak(pfn..<(pfn + 1), reason: "RMPUPDATE of an IOMMU's page: \(error)")
            }
        }
        releaseIOMMURegions()
    }
}
