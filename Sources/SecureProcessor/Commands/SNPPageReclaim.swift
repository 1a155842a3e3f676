// SNP_PAGE_RECLAIM: the firmware lets go of a page.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_RECLAIM: makes a page mutable again, so that the hypervisor can have it back with RMPUPDATE.
    ///
    /// Metadata and Firmware pages become Reclaim, Pre-Guest becomes Guest-Invalid, Pre-Swap Guest-Valid. A page that is
    /// mutable already is left as it is, with success.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_RECLAIM
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, the address rules,
    ///   INVALID_PAGE_SIZE, INVALID_ADDRESS (2M unaligned), INVALID_PAGE_STATE (Context, HV-Fixed, Firmware-IOMMU)
    /// - Deviates: a page without an entry gives INVALID_PAGE_STATE; unconfirmed
    mutating func snpPageReclaim(_ buffer: PageReclaimBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try checkRange(buffer.page, byteCount: Int(buffer.pageSize.byteCount)).frame
        guard var entry = try entry(at: buffer.page) else { throw .invalidPageState }
        guard entry.pageSize == buffer.pageSize else { throw .invalidPageSize }
        guard pfn.isAligned(to: entry.pageSize) else { throw .invalidAddress }
        guard entry.immutable else { return }
        guard [.metadata, .firmware, .preGuest, .preSwap].contains(entry.state) else { throw .invalidPageState }
        if entry.state == .metadata { entry.gfn = GFN(entry.gfn.rawValue & 0xf_ffff_ffff) }
        entry.immutable = false
        rmp.firmwareWrite(pfn, entry)
    }
}
