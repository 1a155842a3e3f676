// SNP_PAGE_MD_INIT: a Firmware page becomes a page of metadata for a guest's swapped pages.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_MD_INIT: Firmware to Metadata; the page holds zeros that x86 cannot read.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_MD_INIT
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (the page lies inside
    ///   the RMP), INVALID_GUEST, INVALID_PAGE_STATE (not Firmware), INVALID_GUEST_STATE
    mutating func snpPageMDInit(_ buffer: PageMDInitBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let found = try entry(at: buffer.page)
        let context = try guestFrame(buffer.context)
        guard var entry = found, entry.state == .firmware else { throw .invalidPageState }
        guard let guest = guests[context], guest.state != .initialized else { throw .invalidGuestState }
        let pfn = frame(of: buffer.page)
        for index in 0..<entry.pageSize.pageCount { memory.zero(pfn + index, key: contextKey) }
        entry.gfn = Self.metadataTag(context)
        rmp.firmwareWrite(pfn, entry)
    }

    /// What a Metadata page's entry has for a guest address: firmware's tag and the guest's context.
    static func metadataTag(_ context: PFN) -> GFN { GFN(1 << 36 | context.rawValue) }
}
