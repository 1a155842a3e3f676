// SNP_PAGE_SET_STATE: Firmware pages become pages that the host may use but never convert.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_SET_STATE: Firmware to HV-Fixed, for all pages of a list or for none.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_SET_STATE
    /// - Throws: in check order: INVALID_LENGTH, INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, the rules of copy-in,
    ///   INVALID_PARAM (list), INVALID_PAGE_STATE (a page that is not exactly a Firmware page of 4K)
    /// - Deviates: a listed page that belongs to the RMP's own table gives INVALID_PAGE_STATE; unconfirmed
    mutating func snpPageSetState(_ buffer: PageSetStateBuffer) throws(FirmwareStatus) {
        guard buffer.length == PageSetStateBuffer.byteCount else { throw .invalidLength }
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let list = try read(RangeList.self, at: buffer.list)
        guard list.count <= RangeList.maximumCount, list.reserved == 0 else { throw .invalidParam }
        var pages: [Range<PFN>] = []
        for range in list.ranges {
            guard range.reserved == 0, range.base.isAligned(to: .size2M) else { throw .invalidParam }
            guard let end = range.base.advanced(checked: UInt64(range.pageCount) << 12) else { throw .invalidParam }
            pages.append((range.base.frame..<end.frame).clamped(to: PFN(0)..<PFN(rmp.coveredFrameCount)))
        }
        for pfn in pages.joined() where rmp.covers(pfn) {
            let entry = rmp.entry(pfn)
            guard !rmp.tableFrames.contains(where: { $0.contains(pfn) }) else { throw .invalidPageState }
            guard entry.state == .firmware, entry.pageSize == .size4K else { throw .invalidPageState }
        }
        for pfn in pages.joined() where rmp.covers(pfn) { rmp.firmwareWrite(pfn, RMPEntry(immutable: true)) }
    }
}
