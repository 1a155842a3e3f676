// The legacy half of the platform: its trusted memory region, INIT after SNP_INIT, SHUTDOWN before SNP_SHUTDOWN.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension Host {
    /// Initialises legacy SEV with SEV-ES. SNP, if it is wanted, comes first. Success, with nothing done, if it is.
    ///
    /// Firmware gets a region of memory for itself: 2 MiB of Firmware pages with SNP, 1 MiB of ordinary memory without.
    ///
    /// - Spec: patch 24 of the series; Linux: `sev_fw_alloc()`, `__sev_platform_init_locked()`
    /// - Throws: `.noMemory`, `.pageState`, what firmware refused; then firmware has no region
    public func initializeLegacySEV() throws(FirmwareError) {
        try snp.lock.withLock { () throws(FirmwareError) in
            guard !snp.current.legacyIsInitialized else { return }
            try allocateTMR()
            guard let tmr = snp.current.tmr else { throw .noMemory }
            let byteCount = UInt32(1) << (UInt32(snp.current.tmrOrder) + 12)
            do throws(FirmwareError) {
                machine.cores.writeBackAndInvalidate()
                try firmware.send(SEVInitBuffer(tmr: tmr.address, tmrByteCount: byteCount))
                snp.change { $0.legacyIsInitialized = true }
                try firmware.send(.sevDFFlush)
            } catch {
                try? shutDownLegacy()
                throw error
            }
        }
    }

    /// Shuts legacy SEV down and takes firmware's region back.
    ///
    /// - Throws: what firmware refused. Pages of the region that do not come back have leaked
    public func shutdownLegacySEV() throws(FirmwareError) {
        try snp.lock.withLock { () throws(FirmwareError) in try shutDownLegacy() }
    }

    /// As `shutdownLegacySEV`, for a caller that holds the platform's lock.
    func shutDownLegacy() throws(FirmwareError) {
        if snp.current.legacyIsInitialized {
            try firmware.send(.sevShutdown)
            snp.change { $0.legacyIsInitialized = false }
        }
        guard let tmr = snp.current.tmr else { return }
        let order = snp.current.tmrOrder
        // What the caches hold of the region must not land there later. The next region's size is decided anew.
        machine.cores.writeBackAndInvalidate()
        snp.change { $0.tmr = nil }
        if order == 9 {
            try firmware.freeBlock(FirmwareBlock(pfn: tmr, order: order, pageCount: 512))
        } else {
            allocator.free(tmr, order: order)
        }
    }

    private func allocateTMR() throws(FirmwareError) {
        if snp.current.isInitialized {
            let block = try firmware.allocateBlock(pageCount: 512)
            snp.change { ($0.tmr, $0.tmrOrder) = (block.pfn, 9) }
        } else {
            guard let block = allocator.allocate(order: 8) else { throw .noMemory }
            snp.change { ($0.tmr, $0.tmrOrder) = (block.pfn, 8) }
        }
    }
}
