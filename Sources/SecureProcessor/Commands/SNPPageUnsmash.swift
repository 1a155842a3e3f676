// SNP_PAGE_UNSMASH: 512 pages of a guest become one again.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_UNSMASH: makes one 2M entry of 512 equal 4K entries that firmware holds for a guest.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_UNSMASH
    /// - Throws: in check order: INVALID_PARAM (reserved bits, unaligned), INVALID_PLATFORM_STATE, INVALID_PAGE_STATE
    ///   (no entry), INVALID_PARAM (inside the RMP), INVALID_ADDRESS (runs into the RMP), INVALID_PAGE_STATE (an entry is
    ///   2M, mutable, a VMSA or nobody's; states, owners or permissions differ; guest addresses are not consecutive)
    mutating func snpPageUnsmash(_ buffer: PageUnsmashBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero, buffer.page.isAligned(to: .size2M) else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        guard let first = try entry(at: buffer.page) else { throw .invalidPageState }
        let head = frame(of: buffer.page)
        guard !rmp.tableFrames.contains(where: { (head..<(head + 512)).overlaps($0) }) else { throw .invalidAddress }
        guard first.gfn.isAligned(to: .size2M) else { throw .invalidPageState }
        let high = rmp.rawEntry(head).high
        for index in 0..<512 as Range<UInt64> {
            let pfn = head + index
            guard rmp.covers(pfn) else { throw .invalidPageState }
            let entry = rmp.entry(pfn)
            guard entry.pageSize == .size4K, entry.immutable, !entry.vmsa else { throw .invalidPageState }
            guard entry.asid != .host, entry.asid == first.asid else { throw .invalidPageState }
            guard entry.state == first.state, rmp.rawEntry(pfn).high == high else { throw .invalidPageState }
            guard entry.gfn.rawValue == first.gfn.rawValue + index else { throw .invalidPageState }
        }
        rmp.firmwareUnsmash(head)
    }
}
