// The Reverse Map Table: 16 bytes for each 4 KiB frame, in DRAM, and 16 KiB of per-ASID counters. The entries lie in one piece
// behind the counters, or in segments, each for a part of memory, which the segment table behind the counters lists.
//
// This file holds the table and its raw access. The instructions that x86 code may use are in files of their own, and so
// is what firmware does to entries. Each 2 MiB region has a sequence number: odd while an instruction works in the region.

public import CPlatform
public import SNPArchitecture

/// The table that says who owns each frame. Entries have the format of Milan and Genoa.
///
/// - Spec: APM2 15.36.3; RMP_BASE C001_0132, RMP_END C001_0133, RMP_CFG C001_0136
/// - Deviates: the silicon knows where the table lies from when the machine was built, and does not look at the registers
///   and the segment table again. What entries of later processors look like is not public
@safe public final class ReverseMapTable: @unchecked Sendable {
    /// Where its parts lie.
    public let layout: RMPLayout
    /// RMP_BASE: the address of the bookkeeping's first byte.
    public var base: SPA { layout.base }
    /// Frames from here on have no entry. Below there may be some, if segments are absent: see `covers`.
    public let coveredFrameCount: UInt64
    /// The DRAM that holds the table.
    public let memory: PhysicalMemory
    /// A second look at completed writes.
    public let audit = AccessAudit()
    /// Tests' and explorers' way to make instructions fail.
    public let injection = RMPInjection()
    /// Traces' way to hear of changes.
    public let watch = RMPWatch()

    /// The entries of an RMP in one piece; of a segmented one those of the first segment.
    @usableFromInline let entries: UnsafeMutableRawPointer
    /// The segments, or nil for an RMP in one piece.
    @usableFromInline let segments: UnsafeMutablePointer<Segment>?
    /// A segment is for `1 << segmentShift` frames.
    @usableFromInline let segmentShift: UInt64
    @usableFromInline let counters: UnsafeMutableRawPointer
    /// One 32-bit sequence number for each 2 MiB region.
    @usableFromInline let sequences: UnsafeMutableRawPointer
    private let sequenceByteCount: Int

    /// The bytes before the first entry: 2048 counters of 8 bytes.
    @inlinable public static var bookkeepingByteCount: UInt64 { 0x4000 }

    /// How large a table must be to cover `byteCount` bytes of DRAM: a multiple of 1 MiB.
    public static func tableByteCount(covering byteCount: UInt64) -> UInt64 {
        (bookkeepingByteCount + byteCount >> 12 * RMPEntryRaw.byteCount + 0xf_ffff) & ~0xf_ffff
    }

    /// The entries of a part of memory.
    @unsafe @usableFromInline struct Segment {
        @usableFromInline var entries: UnsafeMutableRawPointer
        @usableFromInline var frameCount: UInt64
    }

    /// Makes a table. A segment table is written to its place, as BIOS does.
    ///
    /// - Throws: what is wrong with a part's place or size; `.reservationRefused`
    public init(memory: PhysicalMemory, layout: RMPLayout) throws(MachineError) {
        tableFrames = try layout.pieces(in: memory)
        var covered: UInt64 = 0
        let counters = unsafe memory.pointer(layout.base)
        switch layout {
        case .contiguous(_, let byteCount):
            covered = (byteCount - Self.bookkeepingByteCount) / RMPEntryRaw.byteCount
            unsafe segments = nil
            segmentShift = 0
        case .segmented(let base, let shift, let rows):
            let segments = UnsafeMutablePointer<Segment>.allocate(capacity: max(rows.count, 1))
            for (index, row) in rows.enumerated() {
                let frameCount = row.mappedByteCount(shift: shift) >> 12
                let entries = unsafe frameCount > 0 ? memory.pointer(row.base) : counters
                unsafe (segments + index).initialize(to: Segment(entries: entries, frameCount: frameCount))
                if frameCount > 0 { covered = UInt64(index) << UInt64(shift - 12) + frameCount }
                memory.storeQuadword(row.rawValue, at: base + (Self.bookkeepingByteCount + UInt64(index) << 3))
            }
            unsafe self.segments = segments
            segmentShift = UInt64(shift - 12)
        }
        covered = min(covered, memory.frameCount)
        sequenceByteCount = Int((covered >> 9 + 1) << 2)
        guard let sequences = unsafe cp_reserve(sequenceByteCount) else {
            unsafe segments?.deallocate()
            throw .reservationRefused(UInt64(sequenceByteCount))
        }
        self.memory = memory
        self.layout = layout
        coveredFrameCount = covered
        unsafe self.sequences = sequences
        unsafe self.counters = counters
        unsafe entries = counters + Int(Self.bookkeepingByteCount)
    }

    deinit {
        unsafe cp_release(sequences, sequenceByteCount)
        unsafe segments?.deallocate()
    }

    /// Whether the frame has an entry.
    @inlinable public func covers(_ pfn: PFN) -> Bool {
        guard pfn.rawValue < coveredFrameCount else { return false }
        guard let segments = unsafe segments else { return true }
        return unsafe pfn.rawValue & (1 << segmentShift - 1) < segments[Int(pfn.rawValue >> segmentShift)].frameCount
    }

    /// The place of a frame's entry. The frame must be covered.
    @inlinable @inline(__always) func entryPointer(_ pfn: PFN) -> UnsafeMutableRawPointer {
        guard let segments = unsafe segments else {
            return unsafe entries + Int(truncatingIfNeeded: pfn.rawValue << 4)
        }
        let offset = Int(truncatingIfNeeded: (pfn.rawValue & (1 << segmentShift - 1)) << 4)
        return unsafe segments[Int(pfn.rawValue >> segmentShift)].entries + offset
    }

    /// The frames that hold the table's parts, segment table and bookkeeping among them, in ascending order.
    public let tableFrames: [Range<PFN>]

    /// Makes every entry and counter zero; the segment table stays.
    public func clear() {
        for frames in tableFrames {
            guard case .segmented = layout, frames.lowerBound == base.frame else {
                memory.discard(frames)
                continue
            }
            memory.discard(frames.lowerBound..<(frames.lowerBound + Self.bookkeepingByteCount >> 12))
        }
    }

    /// The entry of this very frame as it stands in memory. A frame inside a 2 MiB page has no entry of its own: see
    /// `effectiveEntry`.
    @inlinable public func rawEntry(_ pfn: PFN) -> RMPEntryRaw {
        precondition(covers(pfn), "outside the RMP")
        let p = unsafe entryPointer(pfn)
        return unsafe RMPEntryRaw(low: cp_load_acquire_u64(p), high: cp_load_relaxed_u64(p + 8))
    }

    /// The entry of this very frame.
    @inlinable public func entry(_ pfn: PFN) -> RMPEntry { rawEntry(pfn).decoded }

    /// The entry that governs the frame, or nil if the frame is not covered: inside an assigned 2 MiB page that page's entry,
    /// with the guest frame moved on accordingly.
    @inlinable public func effectiveEntry(_ pfn: PFN) -> RMPEntry? {
        guard covers(pfn) else { return nil }
        let head = pfn.aligned(down: .size2M)
        if head != pfn {
            let raw = rawEntry(head)
            if raw.low & (RMPEntryRaw.Low.assigned | RMPEntryRaw.Low.pageSize)
                == RMPEntryRaw.Low.assigned | RMPEntryRaw.Low.pageSize
            {
                var entry = raw.decoded
                entry.gfn = GFN(entry.gfn.rawValue &+ (pfn.rawValue &- head.rawValue))
                return entry
            }
        }
        return entry(pfn)
    }

    /// The state of the page that holds the frame.
    public func state(of pfn: PFN) -> PageState { effectiveEntry(pfn)?.state ?? .default }

    /// The microcode's count of 4 KiB pages assigned to an ASID.
    ///
    /// - Deviates: a 2 MiB page counts as 512; the unit that hardware counts in is not documented
    @inlinable public func assignedPageCount(of asid: ASID) -> UInt64 {
        precondition(asid.rawValue < 2048, "2048 counters")
        return unsafe cp_load_relaxed_u64(counters + Int(asid.rawValue) << 3)
    }

    /// A number that changes with every change in the frame's 2 MiB region, for translation caches. Odd during a change.
    @inlinable public func generation(of pfn: PFN) -> UInt32 {
        unsafe cp_load_relaxed_u32(sequences + Int(truncatingIfNeeded: pfn.rawValue >> 9) << 2)
    }

    // MARK: Writing, for the instructions and firmware

    /// Begins a change in a frame's region. Returns nil if another processor is at work there.
    @inlinable @inline(__always) func beginChange(_ pfn: PFN) -> UInt32? {
        let p = unsafe sequences + Int(truncatingIfNeeded: pfn.rawValue >> 9) << 2
        let even = unsafe cp_load_relaxed_u32(p)
        unsafe cp_undo_note_hidden(p)
        guard even & 1 == 0, unsafe cp_compare_exchange_u32(p, even, even &+ 1) else { return nil }
        return even
    }

    /// Ends a change.
    @inlinable @inline(__always) func endChange(_ pfn: PFN, _ even: UInt32) {
        unsafe cp_store_release_u32(sequences + Int(truncatingIfNeeded: pfn.rawValue >> 9) << 2, even &+ 2)
    }

    @inlinable @inline(__always) func storeEntry(_ raw: RMPEntryRaw, _ pfn: PFN) {
        let p = unsafe entryPointer(pfn)
        unsafe cp_undo_note(p + 8, raw.high)
        unsafe cp_undo_note(p, raw.low)
        unsafe cp_store_relaxed_u64(p + 8, raw.high)
        unsafe cp_store_release_u64(p, raw.low)
    }

    @inlinable @inline(__always) func addToCounter(_ asid: UInt64, _ pages: UInt64) {
        guard asid != 0 else { return }
        let counter = unsafe counters + Int(truncatingIfNeeded: asid) << 3
        unsafe cp_undo_note_hidden(counter)
        _ = unsafe cp_fetch_add_relaxed_u64(counter, pages)
    }

    /// Adds `delta` (1 or -1) to the sub-page count of the region that holds a frame which is not the region's first.
    @inlinable @inline(__always) func addToSubpageCount(_ pfn: PFN, _ delta: Int64) {
        let p = unsafe entryPointer(pfn.aligned(down: .size2M))
        let low = unsafe cp_load_relaxed_u64(p)
        let new = low &+ UInt64(bitPattern: delta &<< 3)
        unsafe cp_undo_note(p, new)
        unsafe cp_store_release_u64(p, new)
    }
}
