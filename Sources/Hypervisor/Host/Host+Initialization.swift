// Turning SNP on and off: registers on every core, then SNP_INIT_EX and SNP_DF_FLUSH.

internal import Machine
internal import SNPArchitecture

extension Host {
    /// Turns SNP on: SYSCFG on every core, write-back, SNP_INIT_EX, write-back, SNP_DF_FLUSH.
    ///
    /// - Parameter rebuildRMP: false keeps the RMP of an earlier initialisation, as after a kexec
    /// - Spec: patches 11 and 21 of the series; reference order of Linux `__sev_snp_init_locked()`
    /// - Throws: what firmware refused
    /// - Deviates: no list of HV-fixed ranges is sent: the emulated DRAM has no reserved regions
    public func initializeSNP(rebuildRMP: Bool = true) throws(FirmwareError) {
        machine.cores.updateAll { core in
            core.hostSaveArea = 0
            core.syscfg |= CoreRegisters.SYSCFG.mfdm
            core.syscfg |= CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable
        }
        if has(.lateCoreWithoutSNP) { machine.cores.update(0) { $0.syscfg &= ~CoreRegisters.SYSCFG.snpEnable } }
        machine.cores.writeBackAndInvalidate()
        do throws(FirmwareError) {
            try firmware.send(InitExBuffer(initializeRMP: rebuildRMP))
        } catch {
            if !has(.initFailureIgnored) { throw error }
            return
        }
        try flushASIDs()
    }

    /// Turns SNP off. Guests must be gone.
    ///
    /// - Throws: what firmware refused
    public func shutdownSNP() throws(FirmwareError) {
        do throws(FirmwareError) { try sendShutdown() } catch {
            guard error == .status(.dfFlushRequired), !has(.shutdownNotRetried) else { throw error }
            try flushASIDs()
            try sendShutdown()
        }
    }

    private func sendShutdown() throws(FirmwareError) {
        try firmware.send(ShutdownExBuffer(iommuShutdown: true))
    }

    /// WBINVD on every core and SNP_DF_FLUSH: dirty ASIDs become usable.
    ///
    /// - Throws: what firmware refused
    public func flushASIDs() throws(FirmwareError) {
        machine.cores.writeBackAndInvalidate()
        try firmware.send(.snpDFFlush)
    }
}
