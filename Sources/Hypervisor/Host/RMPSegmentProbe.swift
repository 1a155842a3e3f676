// What the kernel makes of a segmented RMP before it turns SNP on: the registers, then each row of the segment table.

internal import Machine
internal import SNPArchitecture

extension Host {
    /// Judges the RMP that BIOS left, in one piece or in segments.
    ///
    /// A processor that does not tell of segmented RMPs has no RMP_CFG, so that it is not asked.
    ///
    /// - Spec: patch 11 of the series; Linux: `snp_probe_rmptable_info()`
    /// - Throws: as `RMPProbe` or `RMPSegmentProbe`
    func probeRMP(_ cores: [CoreRegisters]) throws(RMPProbeFailure) {
        let (configuration, memory) = (machine.configuration, machine.memory)
        guard configuration.features.contains(.segmentedRMP), cores[0].rmpConfiguration.isSegmented else {
            _ = try RMPProbe(cores, frameCount: memory.frameCount)
            return
        }
        let probe = try RMPSegmentProbe(cores, configuration.rmpSegmentLimits)
        let count = RMPSegmentTableEntry.maximumCount
        guard memory.contains(probe.table, count: UInt64(count) << 3) else { throw .outsideMemory(probe.table) }
        let rows = (0..<UInt64(count)).map {
            RMPSegmentTableEntry(rawValue: memory.loadQuadword(at: probe.table + $0 << 3))
        }
        try probe.check(rows, memory)
    }
}

/// A segmented RMP, as the registers tell of it.
struct RMPSegmentProbe {
    /// The segment table.
    let table: SPA
    /// Each segment is for `1 << shift` bytes of memory.
    let shift: UInt8
    private let limits: RMPSegmentLimits

    /// Reads the registers and judges them.
    ///
    /// - Throws: in check order: `.segmentSize`, `.notReserved`, `.endOfSegmented`, `.notAligned`, `.differsBetweenCores`
    /// - Deviates: Linux leaves alignment and equality to firmware; the order of the first three is unconfirmed
    init(_ cores: [CoreRegisters], _ limits: RMPSegmentLimits) throws(RMPProbeFailure) {
        let first = cores[0]
        shift = first.rmpConfiguration.segmentShift
        guard limits.shifts.contains(shift) else { throw .segmentSize(shift: shift) }
        guard first.rmpBase & RMPProbe.addressBits != 0 else { throw .notReserved }
        guard first.rmpEnd == 0 else { throw .endOfSegmented }
        guard first.rmpBase & 0xf_ffff == 0 else { throw .notAligned }
        for (index, core) in cores.enumerated()
        where core.rmpBase != first.rmpBase || core.rmpEnd != 0 || core.rmpConfiguration != first.rmpConfiguration {
            throw .differsBetweenCores(core: index)
        }
        table = SPA(first.rmpBase + ReverseMapTable.bookkeepingByteCount)
        self.limits = limits
    }

    /// Judges the rows of the table. Absent segments are passed over: their memory has no entries.
    ///
    /// - Throws: in check order: for each row `.tooManySegments`, `.outsideMemory`; then `.segmentsTooSmall`
    /// - Deviates: Linux also refuses a segment whose entries are larger than the memory it is for, and two for the same
    ///   memory. Neither can be: what exceeds the segment's size does not count, and a row's place is its memory
    func check(_ rows: [RMPSegmentTableEntry], _ memory: PhysicalMemory) throws(RMPProbeFailure) {
        var (count, covered) = (0, UInt64(0))
        for (index, row) in rows.enumerated() where row.mappedGiB > 0 {
            count = index + 1
            guard count <= limits.maximumCount else { throw .tooManySegments(count, limit: limits.maximumCount) }
            let mapped = row.mappedByteCount(shift: shift)
            guard memory.contains(row.base, count: RMPSegmentTableEntry.entriesByteCount(mapping: mapped)) else {
                throw .outsideMemory(row.base)
            }
            covered = UInt64(index) << UInt64(shift) + mapped
        }
        guard covered >= memory.byteCount else {
            throw .segmentsTooSmall(needed: memory.byteCount, covered: covered)
        }
    }
}
