// The IOMMUs' buffers, which are firmware's while SNP is on: SNP_INIT takes them, SNP_SHUTDOWN_EX gives them back.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// Makes the IOMMUs' buffers Firmware-IOMMU pages and has the IOMMUs check the RMP.
    ///
    /// - Spec: FWABI 56860, SNP_INIT_EX
    /// - Throws: INVALID_CONFIG: a buffer is not in DRAM, or a page of it is somebody's
    mutating func takeIOMMUPages() throws(FirmwareStatus) {
        var pages: [PFN] = []
        for range in iommu.buffers {
            let count = UInt64(range.count) << 12
            guard memory.contains(range.lowerBound.address, count: count) else { throw .invalidConfig }
            for pfn in range where rmp.covers(pfn) {
                let state = rmp.entry(pfn).state
                guard state == .hypervisor || state == .firmwareIOMMU else { throw .invalidConfig }
                pages.append(pfn)
            }
        }
        for pfn in pages {
            rmp.firmwareWrite(pfn, RMPEntry(assigned: true, immutable: true, gfn: GFN(2 << 36 | 1)))
        }
        iommuPages = pages
        iommu.snpIsEnabled = true
    }

    /// Makes the recorded Firmware-IOMMU pages Reclaim and ends the IOMMUs' checks.
    ///
    /// - Spec: FWABI 56860, SNP_SHUTDOWN_EX, IOMMU_SNP_SHUTDOWN
    mutating func releaseIOMMUPages() {
        for pfn in iommuPages where rmp.entry(pfn).state == .firmwareIOMMU {
            rmp.firmwareWrite(pfn, RMPEntry(assigned: true))
        }
        iommuPages = []
        iommu.snpIsEnabled = false
    }
}
