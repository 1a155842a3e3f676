// Where BIOS puts the RMP: in one piece, or in segments, each for a part of memory.

public import SNPArchitecture

/// What a segmented RMP is to be like.
public struct RMPSegmentation: Hashable, Sendable {
    /// Each segment is for `1 << shift` bytes of memory.
    public var shift: UInt8
    /// The rows of the segment table, or nil for BIOS's own: all of memory, the segments at the top of DRAM.
    public var rows: [RMPSegmentTableEntry]?

    /// Makes a wish. Segments are 64 GiB unless asked otherwise.
    public init(shift: UInt8 = 36, rows: [RMPSegmentTableEntry]? = nil) {
        self.shift = shift
        self.rows = rows
    }
}

/// The place of every part of the RMP.
public enum RMPLayout: Hashable, Sendable {
    /// Bookkeeping and entries in one piece.
    case contiguous(base: SPA, byteCount: UInt64)
    /// Bookkeeping and the segment table in one piece, the entries of each segment in a piece of its own.
    case segmented(base: SPA, shift: UInt8, rows: [RMPSegmentTableEntry])

    /// The size of what lies at RMP_BASE of a segmented RMP: bookkeeping and the segment table.
    static let segmentedHeadByteCount = ReverseMapTable.bookkeepingByteCount + 0x1000

    /// RMP_BASE.
    public var base: SPA {
        switch self {
        case .contiguous(let base, _), .segmented(let base, _, _): base
        }
    }

    /// RMP_END: the last byte of an RMP in one piece, otherwise zero.
    public var end: SPA {
        switch self {
        case .contiguous(let base, let byteCount): base + (byteCount - 1)
        case .segmented: SPA(0)
        }
    }

    /// RMP_CFG.
    public var configuration: RMPConfiguration {
        switch self {
        case .contiguous: RMPConfiguration(rawValue: 0)
        case .segmented(_, let shift, _): RMPConfiguration(segmentShift: shift)
        }
    }

    /// The pieces, in ascending order, after a look at their places.
    ///
    /// - Throws: in check order: `.rmpSegmentSize` (less than 1 GiB, more than 64 TiB), `.tooManyRMPSegments`,
    ///   `.rmpMisplaced` for a piece that is not on 1 MiB, not in DRAM, or over another
    func pieces(in memory: PhysicalMemory) throws(MachineError) -> [Range<PFN>] {
        var pieces: [(base: SPA, byteCount: UInt64)]
        switch self {
        case .contiguous(let base, let byteCount):
            guard byteCount > 0, byteCount & 0xf_ffff == 0 else {
                throw .rmpMisplaced(base: base, byteCount: byteCount)
            }
            pieces = [(base, byteCount)]
        case .segmented(let base, let shift, let rows):
            let limit = RMPSegmentTableEntry.maximumCount
            guard (30...46).contains(shift) else { throw .rmpSegmentSize(shift: shift) }
            guard rows.count <= limit else { throw .tooManyRMPSegments(rows.count, limit: limit) }
            pieces = [(base, Self.segmentedHeadByteCount)]
            for row in rows where row.mappedGiB > 0 {
                let mapped = row.mappedByteCount(shift: shift)
                pieces.append((row.base, RMPSegmentTableEntry.entriesByteCount(mapping: mapped)))
            }
            pieces.sort { $0.base < $1.base }
        }
        var end = SPA(0)
        var frames: [Range<PFN>] = []
        for (base, byteCount) in pieces {
            guard base.rawValue & 0xf_ffff == 0, base >= end, memory.contains(base, count: byteCount) else {
                throw .rmpMisplaced(base: base, byteCount: byteCount)
            }
            end = base + byteCount
            frames.append(base.frame..<end.frame)
        }
        return frames
    }

    /// BIOS's choice for a machine.
    ///
    /// - Throws: in check order: `.rmpSegmentsUnavailable`, `.rmpSegmentSize`, `.tooManyRMPSegments`, `.tooSmall`
    init(_ configuration: MachineConfiguration) throws(MachineError) {
        let dram = configuration.dramByteCount
        let covered = min(configuration.rmpCoveredByteCount ?? dram, dram)
        guard let segmentation = configuration.rmpSegmentation else {
            let byteCount = ReverseMapTable.tableByteCount(covering: covered)
            guard byteCount < dram / 2 else { throw .tooSmall(dram) }
            self = .contiguous(base: configuration.rmpBase ?? Self.top(dram, byteCount), byteCount: byteCount)
            return
        }
        let (shift, limits) = (segmentation.shift, configuration.rmpSegmentLimits)
        guard configuration.features.contains(.segmentedRMP) else { throw .rmpSegmentsUnavailable }
        guard limits.shifts.contains(shift) else { throw .rmpSegmentSize(shift: shift) }
        let count = segmentation.rows?.count ?? Int((covered + 1 << UInt64(shift) - 1) >> UInt64(shift))
        guard count <= limits.maximumCount else { throw .tooManyRMPSegments(count, limit: limits.maximumCount) }
        if let rows = segmentation.rows {
            let base = configuration.rmpBase ?? Self.top(dram, Self.segmentedHeadByteCount)
            self = .segmented(base: base, shift: shift, rows: rows)
            return
        }
        let sizes = (0..<UInt64(count)).map { min(1 << UInt64(shift), covered - $0 << UInt64(shift)) }
        let rounded = sizes.map { ($0 + 1 << 30 - 1) >> 30 }
        // The first segment lies highest, and the bookkeeping lowest.
        let entries = RMPSegmentTableEntry.entriesByteCount(mapping: rounded.reduce(0, +) << 30)
        guard entries + 1 << 20 < dram / 2 else { throw .tooSmall(dram) }
        let base = Self.top(dram, entries + 1 << 20)
        var next = base + (entries + 1 << 20)
        let rows = rounded.map { mappedGiB in
            next = SPA(next.rawValue - RMPSegmentTableEntry.entriesByteCount(mapping: mappedGiB << 30))
            return RMPSegmentTableEntry(base: next, mappedGiB: mappedGiB)
        }
        self = .segmented(base: configuration.rmpBase ?? base, shift: shift, rows: rows)
    }

    /// The highest multiple of 2 MiB with so much DRAM from there on.
    private static func top(_ dramByteCount: UInt64, _ byteCount: UInt64) -> SPA {
        SPA((dramByteCount - byteCount) & ~0x1f_ffff)
    }
}
