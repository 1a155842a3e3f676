// SNP_SHUTDOWN and SNP_SHUTDOWN_EX: back to UNINIT.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_SHUTDOWN: leaves the RMP and its enforcement as they are.
    ///
    /// - Spec: FWABI 56860, SNP_SHUTDOWN
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is not UNINIT), DF_FLUSH_REQUIRED while any ASID is not
    ///   clean on all complexes
    mutating func snpShutdown() throws(FirmwareStatus) {
        guard legacy.state == .uninitialized else { throw .invalidPlatformState }
        guard state != .uninitialized else { return }
        guard asids.allAreClean else { throw .dfFlushRequired }
        shutDown()
    }

    /// What every shutdown does.
    private mutating func shutDown() {
        state = .uninitialized
        vlek = nil
        vlekOrigin = nil
        options = InitOptions()
    }

    /// SNP_SHUTDOWN_EX: may also end SNP enforcement in the IOMMU and on the cores.
    ///
    /// Success without effect if the platform is UNINIT already, whatever the buffer says.
    ///
    /// - Spec: FWABI 56860, SNP_SHUTDOWN_EX
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is not UNINIT), DF_FLUSH_REQUIRED, INVALID_PARAM
    ///   (length, reserved bits, X86 without IOMMU or support)
    mutating func snpShutdownEx(_ buffer: ShutdownExBuffer) throws(FirmwareStatus) {
        guard legacy.state == .uninitialized else { throw .invalidPlatformState }
        guard state != .uninitialized else { return }
        guard asids.allAreClean else { throw .dfFlushRequired }
        guard buffer.length == ShutdownExBuffer.byteCount else { throw .invalidParam }
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard !buffer.x86Shutdown || buffer.iommuShutdown else { throw .invalidParam }
        guard !buffer.x86Shutdown || configuration.supportsX86Shutdown else { throw .invalidParam }
        shutDown()
        if buffer.iommuShutdown {
            rmpTCB = nil
            releaseIOMMUPages()
            for asid in 1...asids.asidCount { memory.encryption.removeKey(of: ASID(asid)) }
        }
        if buffer.x86Shutdown { cores.updateAll { $0.syscfg &= ~CoreRegisters.SYSCFG.snpEnable } }
    }
}
