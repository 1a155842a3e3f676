// Turning SNP off: in order, and in a panic.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

/// How far SNP is shut down.
public enum SNPShutdownScope: Sendable {
    /// Firmware, and the IOMMUs' checks. The cores go on enforcing the RMP.
    case firmware
    /// Also the cores' checks, if firmware can do that: the next initialisation clears the RMP.
    case firmwareAndCores
}

extension Host {
    /// Turns SNP off. Guests must be gone. Success, with nothing done, if it is off.
    ///
    /// - Spec: patches 21 and 56 of the series; Linux: `__sev_snp_shutdown_locked()`
    /// - Throws: what firmware refused; then SNP is on as it was, except that the legacy half may be shut down
    public func shutdownSNP(_ scope: SNPShutdownScope = .firmware) throws(FirmwareError) {
        try snp.lock.withLock { () throws(FirmwareError) in
            guard snp.current.isInitialized else { return }
            try shutDownLegacy()
            let buffer = ShutdownExBuffer(iommuShutdown: true, x86Shutdown: scope == .firmwareAndCores)
            do throws(FirmwareError) { try firmware.send(buffer) } catch {
                guard error == .status(.dfFlushRequired), !has(.shutdownNotRetried) else { throw error }
                try flushASIDs()
                try firmware.send(buffer)
            }
            finishShutdown()
        }
    }

    /// What follows when firmware is shut down.
    private func finishShutdown() {
        snp.change { $0.isInitialized = false }
        takeBackIOMMUPages()
        guard !machine.cores.snpEnabled else { return }
        // Nobody enforces the table any more; what it says must not outlive that.
        machine.rmp.clear()
        snp.change { $0.isOn = false }
    }

    /// A panic: tries to leave firmware shut down for the kernel that comes next. The other cores have stopped, whoever holds
    /// a lock will never release it, and nothing may sleep: no lock is taken and firmware is polled.
    ///
    /// What fails is left: the next kernel finds SNP on, cannot initialise firmware, and goes on without SNP.
    ///
    /// - Returns: the first refusal, or nil if firmware is shut down
    /// - Spec: Linux: `snp_shutdown_on_panic()`
    @discardableResult
    public func shutdownSNPInPanic() -> FirmwareError? {
        guard snp.current.isInitialized else { return nil }
        if !has(.panicWithoutWriteBack) { machine.cores.writeBackAndInvalidate() }
        do throws(FirmwareError) {
            if snp.current.legacyIsInitialized { try firmware.sendInPanic(.sevShutdown) }
            let buffer = ShutdownExBuffer(iommuShutdown: true)
            do throws(FirmwareError) { try firmware.sendInPanic(.snpShutdownEx, buffer.encoded) } catch {
                guard error == .status(.dfFlushRequired) else { throw error }
                try firmware.sendInPanic(.snpDFFlush)
                try firmware.sendInPanic(.snpShutdownEx, buffer.encoded)
            }
        } catch { return error }
        snp.change {
            $0.isInitialized = false
            $0.legacyIsInitialized = false
        }
        // Locks of the direct map may be held: its small mappings stay, which do no harm.
        var counts = RMPCounts()
        for pfn in machine.iommu.buffers.joined() where rmp.lookup(pfn)?.assigned == true {
            try? rmp.makeShared(pfn, .size4K, counts: &counts)
        }
        return nil
    }
}
