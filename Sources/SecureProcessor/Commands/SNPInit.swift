// SNP_INIT and SNP_INIT_EX: check that the platform is set up for SNP, and build the RMP.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_INIT: initialises the platform and builds the RMP, without a range list.
    ///
    /// - Spec: FWABI 56860, SNP_INIT
    /// - Throws: as SNP_INIT_EX
    mutating func snpInit() throws(FirmwareStatus) { try snpInitEx(InitExBuffer(initializeRMP: true)) }

    /// SNP_INIT_EX: initialises the platform; builds the RMP if INIT_RMP says so.
    ///
    /// - Spec: FWABI 56860, SNP_INIT_EX
    /// - Throws: in check order: INVALID_PARAM (reserved bits, also those of features that this version lacks),
    ///   INVALID_PLATFORM_STATE (SNP or legacy SEV is not UNINIT), RMP_INIT_REQUIRED and INVALID_PARAM (a list) without
    ///   INIT_RMP, INVALID_PARAM (MAX_SNP_ASID), then what `checkCores` and `checkRMPBounds` throw, INVALID_CONFIG
    ///   (VM_HSAVE_PA not zero), RMP_INITIALIZATION_FAILED, what `takeIOMMUPages` throws
    /// - Deviates: where MAX_SNP_ASID is checked is unconfirmed; without hidden ciphertext it is not looked at. Hiding
    ///   changes nothing that the host reads. Of the registers that must be equal on all cores the machine has SYSCFG,
    ///   HWCR, RMP_BASE, RMP_END, RMP_CFG and VM_HSAVE_PA; no diagnostic mode and no debug parts
    mutating func snpInitEx(_ buffer: InitExBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero, buffer.bytes.isDisjoint(with: reservedInitBits) else { throw .invalidParam }
        guard state == .uninitialized, legacy.state == .uninitialized else { throw .invalidPlatformState }
        if !buffer.initializeRMP {
            guard rmpTCB == committedTCB else { throw .rmpInitRequired }
            guard !buffer.rangeListIsEnabled else { throw .invalidParam }
        }
        if buffer.ciphertextIsHidden {
            guard (1..<machine.minimumSEVASID).contains(UInt32(buffer.maximumSNPASID)) else { throw .invalidParam }
        }
        let cores = cores.all
        try checkCores(cores)
        try checkRMPBounds(cores)
        if buffer.initializeRMP {
            guard cores.allSatisfy({ $0.hostSaveArea == 0 }) else { throw .invalidConfig }
            rmpTCB = nil
            guests.removeAll()
            try buildRMP(fixed: buffer.rangeListIsEnabled ? rangeList(at: buffer.rangeList) : [])
        }
        try takeIOMMUPages()
        rmpTCB = committedTCB
        options = InitOptions(buffer)
        asids.markAllDirty()
        self.cores.updateAll { $0.writtenBack = false }
        guestCount = 0
        state = .initialized
    }

    /// Checks the registers that must have one value on all cores, and the values themselves.
    ///
    /// - Throws: INVALID_CONFIG: in check order: memory encryption, SNPEn, VMPLEn, SYSCFG and HWCR equal, MFDM, SmmLock
    private func checkCores(_ cores: [CoreRegisters]) throws(FirmwareStatus) {
        typealias SYSCFG = CoreRegisters.SYSCFG
        guard cores.allSatisfy({ $0.syscfg & SYSCFG.memoryEncryption != 0 }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.syscfg & SYSCFG.snpEnable != 0 }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.syscfg & SYSCFG.vmplEnable != 0 }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.syscfg == cores[0].syscfg }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.hwcr == cores[0].hwcr }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.syscfg & SYSCFG.mfdm != 0 }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.hwcr & CoreRegisters.HWCR.smmLock != 0 }) else { throw .invalidConfig }
    }

    /// Checks where the registers say that the RMP is.
    ///
    /// - Throws: in check order: INVALID_CONFIG (RMP_CFG, RMP_BASE or RMP_END not equal on all cores), then what the form of
    ///   the RMP asks
    /// - Deviates: the machine's RMP lies where it was built; registers that name another place give INVALID_CONFIG
    private func checkRMPBounds(_ cores: [CoreRegisters]) throws(FirmwareStatus) {
        guard cores.allSatisfy({ $0.rmpConfiguration == cores[0].rmpConfiguration }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.rmpBase == cores[0].rmpBase }) else { throw .invalidConfig }
        guard cores.allSatisfy({ $0.rmpEnd == cores[0].rmpEnd }) else { throw .invalidConfig }
        guard cores[0].rmpConfiguration == rmp.layout.configuration else { throw .invalidConfig }
        switch rmp.layout {
        case .contiguous: try checkBounds(cores[0])
        case .segmented(_, _, let rows): try checkSegments(cores[0], rows)
        }
    }

    /// Checks RMP_BASE and RMP_END of an RMP in one piece.
    ///
    /// - Throws: in check order: INVALID_ADDRESS (past what firmware can map), INVALID_CONFIG (end before base, not
    ///   multiples of 1 MiB), UNSUPPORTED (C-bit), INVALID_CONFIG (not in DRAM)
    private func checkBounds(_ core: CoreRegisters) throws(FirmwareStatus) {
        let (base, end) = (core.rmpBase & ~Self.cBit, core.rmpEnd & ~Self.cBit)
        guard base < Self.addressLimit, end < Self.addressLimit else { throw .invalidAddress }
        guard base < end else { throw .invalidConfig }
        guard base & 0xf_ffff == 0, (end - base + 1) & 0xf_ffff == 0 else { throw .invalidConfig }
        guard (core.rmpBase | core.rmpEnd) & Self.cBit == 0 else { throw .unsupported }
        guard memory.contains(SPA(base), count: end - base + 1) else { throw .invalidConfig }
        guard SPA(base) == rmp.layout.base, SPA(end) == rmp.layout.end else { throw .invalidConfig }
    }

    /// Checks RMP_BASE, RMP_END and the segment table of a segmented RMP.
    ///
    /// - Throws: in check order: INVALID_ADDRESS (past what firmware can map), INVALID_CONFIG (an end, not a multiple of
    ///   1 MiB), UNSUPPORTED (C-bit), INVALID_CONFIG (not where the machine has it, a row of the table that says otherwise)
    /// - Deviates: what firmware checks of a segmented RMP, and with which statuses, is unconfirmed
    private func checkSegments(_ core: CoreRegisters, _ rows: [RMPSegmentTableEntry]) throws(FirmwareStatus) {
        let base = core.rmpBase & ~Self.cBit
        guard base < Self.addressLimit else { throw .invalidAddress }
        guard core.rmpEnd == 0, base & 0xf_ffff == 0 else { throw .invalidConfig }
        guard core.rmpBase & Self.cBit == 0 else { throw .unsupported }
        guard SPA(base) == rmp.layout.base else { throw .invalidConfig }
        let table = SPA(base) + ReverseMapTable.bookkeepingByteCount
        for index in 0..<RMPSegmentTableEntry.maximumCount {
            let row = RMPSegmentTableEntry(rawValue: memory.loadQuadword(at: table + UInt64(index) << 3))
            guard row == (index < rows.count ? rows[index] : .absent) else { throw .invalidConfig }
        }
    }

    /// The ranges of a list, as far as they are well formed: during initialisation a bad list is cut short, not refused.
    private func rangeList(at spa: SPA) -> [Range<PFN>] {
        guard let list = try? read(RangeList.self, at: spa) else { return [] }
        guard list.count <= RangeList.maximumCount, list.reserved == 0 else { return [] }
        var frames: [Range<PFN>] = []
        for range in list.ranges {
            guard range.reserved == 0, range.base.isAligned(to: .size4K) else { break }
            guard let end = range.base.advanced(checked: UInt64(range.pageCount) << 12) else { break }
            frames.append(range.base.frame..<end.frame)
        }
        return frames
    }

    /// Fills the RMP: HV-Fixed where the host may not convert pages, Firmware over the table itself, else Hypervisor.
    ///
    /// An entry of zeros means Hypervisor, so that only what differs is written: a table over 1 TiB costs the pages that
    /// hold entries of the RMP itself, not all 4 GiB of it.
    ///
    /// - Throws: RMP_INITIALIZATION_FAILED if the table lies where pages must be HV-Fixed, or where it has no entries
    private func buildRMP(fixed list: [Range<PFN>]) throws(FirmwareStatus) {
        rmp.firmwareClear()
        for range in list { fix(range) }
        for range in [Self.aseg, Self.hyperTransport] {
            guard !isRMP(range) else { throw .rmpInitializationFailed }
            fix(PFN(range.lowerBound >> 12)..<PFN(range.upperBound >> 12))
        }
        for pfn in rmp.tableFrames.joined() {
            guard rmp.covers(pfn) else { throw .rmpInitializationFailed }
        }
        for pfn in rmp.tableFrames.joined() {
            rmp.firmwareWrite(pfn, RMPEntry(assigned: true, immutable: true))
        }
    }

    /// Makes pages HV-Fixed, except those of the RMP and those past it.
    private func fix(_ range: Range<PFN>) {
        let covered = range.clamped(to: PFN(0)..<PFN(rmp.coveredFrameCount))
        // The table of a large host has a million frames, and BIOS lists them: they are not walked.
        var next = covered.lowerBound
        for table in rmp.tableFrames where table.overlaps(covered) {
            fixEach(next..<max(next, table.lowerBound))
            next = table.upperBound
        }
        fixEach(min(next, covered.upperBound)..<covered.upperBound)
    }

    private func fixEach(_ range: Range<PFN>) {
        for pfn in range where rmp.covers(pfn) { rmp.firmwareWrite(pfn, RMPEntry(immutable: true)) }
    }
}
