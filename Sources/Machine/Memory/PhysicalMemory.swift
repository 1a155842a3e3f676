// The machine's DRAM: one region from address 0, reserved lazily, so that a host of many TiB costs what is touched.
//
// Other host threads may write DRAM at any time. So this type copies in and out and lends raw bytes only to the silicon and
// to firmware, inside a closure. It knows nothing of the RMP: checks are made by the accesses above it.

public import CPlatform
public import SNPArchitecture

/// The emulated DRAM.
@safe public final class PhysicalMemory: @unchecked Sendable {
    /// The size in bytes, a multiple of 2 MiB.
    public let byteCount: UInt64
    /// The keys under which frames are stored.
    public let encryption: MemoryEncryption
    @usableFromInline let base: UnsafeMutableRawPointer
    /// One 32-bit `KeyID` for each frame.
    @usableFromInline let tags: UnsafeMutableRawPointer

    /// Reserves DRAM.
    ///
    /// - Throws: `.sizeNotAligned` unless `byteCount` is a positive multiple of 2 MiB; `.reservationRefused` when the
    ///   system refuses the address space
    public init(byteCount: UInt64, encryption: MemoryEncryption) throws(MachineError) {
        guard byteCount > 0, byteCount & 0x1f_ffff == 0 else { throw .sizeNotAligned(byteCount) }
        guard byteCount <= 1 << 46, let base = unsafe cp_reserve(Int(byteCount)) else {
            throw .reservationRefused(byteCount)
        }
        guard let tags = unsafe cp_reserve(Int(byteCount >> 10)) else {
            unsafe cp_release(base, Int(byteCount))
            throw .reservationRefused(byteCount)
        }
        self.byteCount = byteCount
        self.encryption = encryption
        unsafe self.base = base
        unsafe self.tags = tags
    }

    deinit {
        unsafe cp_release(base, Int(byteCount))
        unsafe cp_release(tags, Int(byteCount >> 10))
    }

    /// The number of 4 KiB frames.
    @inlinable public var frameCount: UInt64 { byteCount >> 12 }

    /// Whether the frame is DRAM.
    @inlinable public func contains(_ pfn: PFN) -> Bool { pfn.rawValue < byteCount >> 12 }

    /// Whether all of the bytes are DRAM.
    @inlinable public func contains(_ spa: SPA, count: UInt64) -> Bool {
        spa.rawValue < byteCount && count <= byteCount &- spa.rawValue
    }

    /// A pointer to one byte of DRAM.
    @inlinable func pointer(_ spa: SPA) -> UnsafeMutableRawPointer {
        precondition(spa.rawValue < byteCount, "outside DRAM")
        // SAFETY: the address is inside the reservation, which lives as long as self.
        return unsafe base + Int(truncatingIfNeeded: spa.rawValue)
    }

    /// Loads an aligned quadword, as stored, without a key: for page tables and the RMP, which the host keeps in plain.
    @inlinable public func loadQuadword(at spa: SPA) -> UInt64 {
        precondition(spa.rawValue & 7 == 0, "unaligned quadword")
        return unsafe cp_load_relaxed_u64(pointer(spa))
    }

    /// Stores an aligned quadword, as it is.
    @inlinable public func storeQuadword(_ value: UInt64, at spa: SPA) {
        precondition(spa.rawValue & 7 == 0, "unaligned quadword")
        unsafe cp_undo_note(pointer(spa), value)
        unsafe cp_store_relaxed_u64(pointer(spa), value)
    }

    /// Replaces an aligned quadword if it still has the expected value; returns whether it did.
    @inlinable public func exchangeQuadword(_ value: UInt64, ifEqualTo expected: UInt64, at spa: SPA) -> Bool {
        precondition(spa.rawValue & 7 == 0, "unaligned quadword")
        var expected = expected
        unsafe cp_undo_note_exchange(pointer(spa), value, expected)
        return unsafe cp_compare_exchange_u64(pointer(spa), &expected, value)
    }

    /// Lends the 4096 bytes of a frame as stored. For the silicon and firmware only; the bytes must not be kept.
    ///
    /// - Parameter written: the bytes that the body may write
    @inlinable public func withFrameBytes<R, E: Error>(
        _ pfn: PFN, writing written: Range<Int> = 0..<4096, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        precondition(written.lowerBound >= 0 && written.upperBound <= 4096, "inside the frame")
        let frame = unsafe pointer(pfn.address)
        unsafe cp_undo_begin_bytes(frame + written.lowerBound, written.count)
        defer { unsafe cp_undo_end_bytes(frame + written.lowerBound, written.count) }
        return try unsafe body(UnsafeMutableRawBufferPointer(start: frame, count: 4096))
    }

    /// Tells the system that frames will be written soon, so that it gives them memory in one go. Changes nothing else.
    public func expectWrites(to frames: Range<PFN>) {
        precondition(frames.upperBound.rawValue <= frameCount, "outside DRAM")
        unsafe cp_populate(base + Int(frames.lowerBound.rawValue) << 12, frames.count << 12)
    }

    /// Gives whole frames back to the system: they read as zero, stored in plain.
    public func discard(_ frames: Range<PFN>) {
        precondition(frames.upperBound.rawValue <= frameCount, "outside DRAM")
        guard !frames.isEmpty else { return }
        let first = Int(frames.lowerBound.rawValue)
        unsafe cp_undo_begin_bytes(base + first << 12, frames.count << 12)
        unsafe cp_discard(base + first << 12, frames.count << 12)
        for pfn in frames { setKey(.plain, of: pfn) }
    }
}
