// What the legacy SEV commands see and change: a state of their own beside SNP's, and the trusted memory region of SEV-ES.
//
// There are no legacy guests: a command that names one finds none.

internal import Machine
internal import SNPArchitecture

/// The legacy half of the platform.
struct LegacyPlatform: Hashable {
    /// UNINIT or INIT. WORKING needs a guest.
    var state = PlatformState.uninitialized
    /// SEV-ES was initialised.
    var encryptedStateIsEnabled = false
    /// The region that only firmware may use since INIT.
    var tmr: Range<UInt64>?
}

extension Firmware {
    /// Legacy INIT.
    ///
    /// - Spec: SEV API 55766, INIT
    /// - Throws: in check order: INVALID_PARAM (reserved bits), then what `initializeLegacy` throws
    mutating func sevInit(_ buffer: SEVInitBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        let region = buffer.encryptedStateIsEnabled ? (buffer.tmr, buffer.tmrByteCount) : nil
        try initializeLegacy(region: region, nv: nil)
    }

    /// Legacy INIT_EX: what firmware would keep in flash lies in memory.
    ///
    /// - Spec: SEV API 55766, INIT_EX
    /// - Throws: in check order: INVALID_LENGTH, INVALID_PARAM (reserved bits), then what `initializeLegacy` throws
    /// - Deviates: the non-volatile area is checked and not used
    mutating func sevInitEx(_ buffer: SEVInitExBuffer) throws(FirmwareStatus) {
        guard buffer.length == SEVInitExBuffer.byteCount else { throw .invalidLength }
        guard buffer.reservedIsZero else { throw .invalidParam }
        let region = buffer.encryptedStateIsEnabled ? (buffer.tmr, buffer.tmrByteCount) : nil
        try initializeLegacy(region: region, nv: (buffer.nv, buffer.nvLength))
    }

    /// UNINIT to INIT, with the checks that SNP adds.
    ///
    /// - Throws: in check order: INVALID_PLATFORM_STATE (not UNINIT, or SNPEn is set and the RMP was never built), then for
    ///   each of TMR and non-volatile area: INVALID_LENGTH, INVALID_ADDRESS (alignment), the rules of copy-out,
    ///   INVALID_PAGE_STATE (SNP is INIT and a page is neither Firmware nor Default)
    /// - Deviates: that the TMR is checked before the non-volatile area is unconfirmed
    private mutating func initializeLegacy(
        region: (address: SPA, byteCount: UInt32)?, nv: (address: SPA, byteCount: UInt32)?
    ) throws(FirmwareStatus) {
        guard legacy.state == .uninitialized else { throw .invalidPlatformState }
        guard rmpTCB != nil || !cores.snpEnabled else { throw .invalidPlatformState }
        var tmr: Range<UInt64>?
        if let region {
            let size: UInt32 = rmpTCB != nil ? 2 << 20 : 1 << 20
            try checkArea(region.address, region.byteCount, size: size, alignment: UInt64(size))
            let start = region.address.rawValue & ~Self.cBit
            tmr = start..<(start + UInt64(size))
        }
        if let nv { try checkArea(nv.address, nv.byteCount, size: SEVInitExBuffer.nvByteCount, alignment: 4096) }
        if state == .uninitialized { asids.markAllDirty() }
        legacy.state = .initialized
        legacy.encryptedStateIsEnabled = region != nil
        legacy.tmr = tmr
    }

    private func checkArea(
        _ spa: SPA, _ byteCount: UInt32, size: UInt32, alignment: UInt64
    ) throws(FirmwareStatus) {
        guard byteCount == size else { throw .invalidLength }
        guard spa.rawValue & (alignment - 1) == 0 else { throw .invalidAddress }
        _ = try checkRange(spa, byteCount: Int(size))
        guard state == .initialized else { return }
        try checkWritable(spa, byteCount: Int(size))
    }

    /// Checks that firmware may write to each page of a range: Firmware or Default.
    ///
    /// - Throws: in check order: INVALID_PARAM (inside the RMP), INVALID_PAGE_STATE
    func checkWritable(_ spa: SPA, byteCount: Int) throws(FirmwareStatus) {
        let last = SPA(spa.rawValue + UInt64(max(byteCount, 1) - 1))
        var page = SPA(spa.rawValue & ~0xfff)
        while page <= last {
            try checkWritable(page)
            // One entry of 2M answers for the rest of its 2 MiB.
            let isLarge = try entry(at: page)?.pageSize == .size2M
            page = isLarge ? SPA((page.rawValue | 0x1f_ffff) + 1) : page + 4096
        }
    }

    /// Legacy SHUTDOWN: the legacy half is UNINIT; SNP and its guests are as they were.
    ///
    /// - Spec: SEV API 55766, SHUTDOWN
    mutating func sevShutdown() { legacy = LegacyPlatform() }

    /// Legacy PLATFORM_RESET: forgets what is not volatile.
    ///
    /// - Spec: SEV API 55766, PLATFORM_RESET
    /// - Throws: INVALID_PLATFORM_STATE (not UNINIT)
    /// - Deviates: nothing here outlives a shutdown, so that nothing is forgotten
    func sevPlatformReset() throws(FirmwareStatus) {
        guard legacy.state == .uninitialized else { throw .invalidPlatformState }
    }

    /// Legacy DF_FLUSH: ASIDs are shared, so it does what SNP_DF_FLUSH does.
    ///
    /// - Spec: SEV API 55766, DF_FLUSH
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is UNINIT), WBINVD_REQUIRED
    mutating func sevDFFlush() throws(FirmwareStatus) {
        try checkLegacyIsInitialized()
        try snpDFFlush()
    }

    /// Legacy DOWNLOAD_FIRMWARE: as SNP_DOWNLOAD_FIRMWARE_EX with COMMIT, for a platform that is shut down.
    ///
    /// - Spec: SEV API 55766, DOWNLOAD_FIRMWARE
    /// - Throws: in check order: INVALID_PLATFORM_STATE (SEV or SNP is not UNINIT), INVALID_ADDRESS (not 32-byte aligned),
    ///   then what `install` throws
    mutating func sevDownloadFirmware(_ buffer: SEVDownloadFirmwareBuffer) throws(FirmwareStatus) {
        guard legacy.state == .uninitialized, state == .uninitialized else { throw .invalidPlatformState }
        guard buffer.image.rawValue & 31 == 0 else { throw .invalidAddress }
        try install(imageAt: buffer.image, byteCount: buffer.imageByteCount)
        commitCurrent()
    }

    func checkLegacyIsInitialized() throws(FirmwareStatus) {
        guard legacy.state == .initialized else { throw .invalidPlatformState }
    }
}
