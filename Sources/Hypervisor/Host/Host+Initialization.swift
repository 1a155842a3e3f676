// Turning SNP on: what must hold first, the registers on every core, then firmware.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension Host {
    /// Turns SNP on, or leaves it off and says why.
    ///
    /// If the cores have SNP on already, as after a kexec, the RMP is kept: the host could not even write it. Otherwise it is
    /// cleared before the cores enforce it. Firmware builds it anew in both cases; if the earlier kernel left firmware
    /// initialised, it refuses, and SNP stays off.
    ///
    /// - Parameter rebuildRMP: false has firmware keep the RMP of an earlier initialisation
    /// - Spec: patches 10, 11 and 21 of the series; Linux: `snp_rmptable_init()`, `__sev_snp_init_locked()`
    /// - Throws: in check order: `.noFeature`, `.iommu`, `.rmp`, `.coresOffline`, `.firmwareTooOld`, `.tooManyRanges`,
    ///   `.noMemory`, `.firmware`. Up to `.noMemory` the cores are as they were; after a refusal of firmware they have
    ///   SNP on, and the host's helpers still answer ENODEV
    public func initializeSNP(rebuildRMP: Bool = true) throws(SNPInitializationError) {
        try snp.lock.withLock { () throws(SNPInitializationError) in
            guard !snp.current.isInitialized else { return }
            try checkSNPPreconditions()
            let version = try firmwareVersion()
            guard version >= (1, 51) else { throw .firmwareTooOld(major: version.major, minor: version.minor) }
            let ranges = version >= (1, 52) && rebuildRMP ? try rangesOfBIOS() : []
            try claimIOMMURegions()
            do throws(SNPInitializationError) {
                if has(.enforcedRMPCleared) { try clearTableRegardless() }
                enableOnCores()
                snp.change { $0.isOn = true }
                try initializeFirmware(rebuildRMP: rebuildRMP, extended: version >= (1, 52), ranges)
            } catch {
                releaseIOMMURegions()
                snp.change { $0.isOn = false }
                throw error
            }
        }
        if parameters.initializesLegacySEV {
            do throws(FirmwareError) { try initializeLegacySEV() } catch { throw .firmware(error) }
        }
    }

    /// Whether SNP is on: Linux's `CC_ATTR_HOST_SEV_SNP`.
    public var snpIsOn: Bool { snp.current.isOn }

    /// Whether KVM offers machines of kind SNP (KVM_CAP_VM_TYPES): parameters, processor, and SNP itself allow them.
    public var allowsSNPMachines: Bool {
        snp.isOn && !has(.kvmBeforeSNP) && parameters.allowsSNP(machine.configuration)
    }

    /// Whether firmware is initialised for SNP.
    public var snpIsInitialized: Bool { snp.current.isInitialized }

    private func checkSNPPreconditions() throws(SNPInitializationError) {
        guard machine.configuration.features.contains(.sevSNP) else { throw .noFeature }
        guard machine.iommu.kind == .checksRMP, parameters.iommuMode == .translated else {
            throw .iommu(machine.iommu.kind, parameters.iommuMode)
        }
        let cores = machine.cores.all
        do throws(RMPProbeFailure) { try probeRMP(cores) } catch { throw .rmp(error) }
        let offline = cores.count { !$0.isOnline }
        guard offline == 0 else { throw .coresOffline(offline) }
    }

    /// The version of firmware's interface, from legacy PLATFORM_STATUS, which any firmware answers.
    private func firmwareVersion() throws(SNPInitializationError) -> (major: UInt8, minor: UInt8) {
        do throws(FirmwareError) {
            let status = try firmware.sendLegacy(SEVPlatformStatusBuffer())
            return (status.apiMajor, status.apiMinor)
        } catch { throw .firmware(error) }
    }

    /// The rows of BIOS's memory map as a list of HV-Fixed ranges: pages that no guest gets.
    ///
    /// - Spec: patch 21; Linux: `snp_filter_reserved_mem_regions()`
    /// - Throws: `.tooManyRanges`
    private func rangesOfBIOS() throws(SNPInitializationError) -> [PageRange] {
        var ranges: [PageRange] = []
        for entry in machine.memoryMap {
            var first = entry.frames.lowerBound
            while first < entry.frames.upperBound {
                let count = min(entry.frames.upperBound.rawValue - first.rawValue, UInt64(UInt32.max))
                ranges.append(PageRange(base: first.address, pageCount: UInt32(count)))
                first = first + count
            }
        }
        guard ranges.count <= RangeList.maximumCount else { throw .tooManyRanges(ranges.count) }
        return ranges
    }

    /// Clears the RMP unless a core enforces it already, and has every core enforce it.
    private func enableOnCores() {
        let isEnforced = machine.cores.all.contains { $0.syscfg & CoreRegisters.SYSCFG.snpEnable != 0 }
        if !isEnforced { machine.rmp.clear() }
        machine.cores.writeBackAndInvalidate()
        machine.cores.updateOnline { $0.syscfg |= CoreRegisters.SYSCFG.mfdm }
        machine.cores.updateOnline { $0.syscfg |= CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable }
        if has(.lateCoreWithoutSNP) { machine.cores.update(0) { $0.syscfg &= ~CoreRegisters.SYSCFG.snpEnable } }
        machine.cores.updateOnline { $0.hostSaveArea = 0 }
        machine.cores.writeBackAndInvalidate()
    }

    private func initializeFirmware(
        rebuildRMP: Bool, extended: Bool, _ ranges: [PageRange]
    ) throws(SNPInitializationError) {
        do throws(FirmwareError) {
            if extended {
                try sendInitEx(rebuildRMP: rebuildRMP, ranges)
            } else {
                try firmware.send(.snpInit)
            }
        } catch {
            if !has(.initFailureIgnored) { throw .firmware(error) }
            snp.change { $0.isInitialized = true }
            return
        }
        snp.change { $0.isInitialized = true }
        do throws(FirmwareError) { try flushASIDs() } catch { throw .firmware(error) }
    }

    /// SNP_INIT_EX with the list in a page of the host's, which firmware only reads.
    private func sendInitEx(rebuildRMP: Bool, _ ranges: [PageRange]) throws(FirmwareError) {
        guard !ranges.isEmpty else { return try firmware.send(InitExBuffer(initializeRMP: rebuildRMP)) }
        guard let page = allocator.allocate(order: 0)?.pfn else { throw .noMemory }
        defer { allocator.free(page, order: 0) }
        do throws(Errno) { try write(RangeList(ranges).encoded, at: page.address) } catch { throw .noMemory }
        try firmware.send(InitExBuffer(initializeRMP: rebuildRMP, rangeList: page.address))
    }

    /// WBINVD on every core and SNP_DF_FLUSH: dirty ASIDs become usable.
    ///
    /// - Throws: what firmware refused
    public func flushASIDs() throws(FirmwareError) {
        machine.cores.writeBackAndInvalidate()
        try firmware.send(.snpDFFlush)
    }
}
