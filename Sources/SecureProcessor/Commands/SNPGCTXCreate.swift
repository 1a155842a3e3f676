// SNP_GCTX_CREATE: a Firmware page becomes the context of a new guest.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_GCTX_CREATE: Firmware page to Context page, with fresh keys, guest state INIT.
    ///
    /// - Spec: FWABI 56860, SNP_GCTX_CREATE
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PAGE_STATE (not Firmware),
    ///   INVALID_PAGE_SIZE (2M), INVALID_CONFIG (not in DRAM)
    mutating func snpGCTXCreate(_ buffer: GCTXCreateBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        guard var entry = try entry(at: buffer.context), entry.state == .firmware else { throw .invalidPageState }
        guard entry.pageSize == .size4K else { throw .invalidPageSize }
        let pfn = frame(of: buffer.context)
        guard memory.contains(pfn) else { throw .invalidConfig }
        memory.zero(pfn, key: contextKey)
        var guest = GuestRecord(vek: random(16), launchTCB: committedTCB, firmwareVersion: version)
        guest.launchMitigations = verifiedMitigations
        guests[pfn] = guest
        entry.vmsa = true
        rmp.firmwareWrite(pfn, entry)
    }
}
