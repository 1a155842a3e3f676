// Memory slots: which ranges of guest physical memory exist, and what backs their shared and private pages.

public import SNPArchitecture
internal import Scheduling

/// A range of guest physical memory. Immutable once made: a slot with guest memory can only be deleted.
public final class MemorySlot: @unchecked Sendable {
    /// The slot's number.
    public let id: UInt32
    /// The guest frames.
    public let frames: Range<GFN>
    /// What backs shared pages.
    public let userMemory: UserMemory
    /// The first page of `userMemory`.
    public let userIndex: UInt64
    /// What backs private pages, if the slot may have any.
    public let guestMemory: GuestMemory?
    /// The first page of `guestMemory`.
    public let guestIndex: UInt64

    init(
        id: UInt32, frames: Range<GFN>, userMemory: UserMemory, userIndex: UInt64, guestMemory: GuestMemory?,
        guestIndex: UInt64
    ) {
        self.id = id
        self.frames = frames
        self.userMemory = userMemory
        self.userIndex = userIndex
        self.guestMemory = guestMemory
        self.guestIndex = guestIndex
    }

    /// The page of the guest memory file that backs a frame of the slot.
    @inline(__always)
    func guestIndex(of gfn: GFN) -> UInt64 { guestIndex + (gfn.rawValue - frames.lowerBound.rawValue) }

    /// The page of the user memory that backs a frame of the slot.
    func userIndex(of gfn: GFN) -> UInt64 { userIndex + (gfn.rawValue - frames.lowerBound.rawValue) }

    /// The guest frames that pages of the guest memory file back, or nil if none.
    func frames(backedBy pages: Range<UInt64>) -> Range<GFN>? { frames(of: pages, from: guestIndex) }

    /// The guest frames that pages of the user memory back, or nil if none.
    func frames(sharing pages: Range<UInt64>) -> Range<GFN>? { frames(of: pages, from: userIndex) }

    private func frames(of pages: Range<UInt64>, from index: UInt64) -> Range<GFN>? {
        let low = max(pages.lowerBound, index)
        let high = min(pages.upperBound, index + UInt64(frames.count))
        guard low < high else { return nil }
        let first = frames.lowerBound + (low - index)
        return first..<(first + (high - low))
    }
}

/// What KVM_SET_USER_MEMORY_REGION2 asks for.
public struct MemoryRegion {
    /// The slot's number, 0 to 32763.
    public var slot: UInt32
    /// KVM_MEM_GUEST_MEMFD is implied by `guestMemory`; other flags are refused.
    public var flags: UInt32 = 0
    /// The first guest physical address.
    public var gpa: GPA
    /// The size in bytes; 0 deletes the slot.
    public var byteCount: UInt64
    /// What backs shared pages.
    public var userMemory: UserMemory
    /// The offset in `userMemory`, in bytes.
    public var userOffset: UInt64 = 0
    /// What backs private pages.
    public var guestMemory: GuestMemory?
    /// The offset in `guestMemory`, in bytes.
    public var guestOffset: UInt64 = 0

    /// Makes a region whose offsets are 0.
    public init(slot: UInt32, gpa: GPA, byteCount: UInt64, userMemory: UserMemory, guestMemory: GuestMemory? = nil) {
        self.slot = slot
        self.gpa = gpa
        self.byteCount = byteCount
        self.userMemory = userMemory
        self.guestMemory = guestMemory
    }
}

extension VirtualMachine {
    /// The number of slots a machine may have.
    public static let slotLimit: UInt32 = 32764

    /// KVM_SET_USER_MEMORY_REGION2: makes or deletes a slot.
    ///
    /// - Throws: in check order: EIO (dead VM), EINVAL (flags, slot number, unaligned address, size or offset, end past the
    ///   guest's addresses, deleting what is not there, changing an existing slot), EINVAL (guest memory: of another VM, past
    ///   its end, range already bound), EINVAL (user memory: past its end), EEXIST (overlap), then
    ///   what `takeBackMisplaced` throws
    public func setMemoryRegion(_ region: MemoryRegion) throws(Errno) {
        try checkAlive()
        guard region.flags == 0, region.slot < Self.slotLimit else { throw .invalidArgument }
        guard (region.gpa.rawValue | region.byteCount | region.userOffset | region.guestOffset) & 0xfff == 0 else {
            throw .invalidArgument
        }
        guard let end = region.gpa.advanced(checked: region.byteCount),
            end.rawValue >> 12 <= 1 << UInt64(MemoryAttributes.frameBits)
        else { throw .invalidArgument }
        try slotsLock.withLock { () throws(Errno) in
            let existing = slots.first { $0.id == region.slot }
            if region.byteCount == 0 {
                guard let existing else { throw .invalidArgument }
                delete(existing)
                return
            }
            guard existing == nil else { throw .invalidArgument }
            try insert(region)
        }
    }

    private func insert(_ region: MemoryRegion) throws(Errno) {
        let frames = region.gpa.frame..<(region.gpa.frame + region.byteCount >> 12)
        let slot = MemorySlot(
            id: region.slot, frames: frames, userMemory: region.userMemory, userIndex: region.userOffset >> 12,
            guestMemory: region.guestMemory, guestIndex: region.guestOffset >> 12)
        let pages = region.byteCount >> 12
        try backing.withLock { () throws(Errno) in
            if let file = region.guestMemory {
                guard file.machine === self else { throw .invalidArgument }
                guard slot.guestIndex <= file.pageCount, pages <= file.pageCount - slot.guestIndex else {
                    throw .invalidArgument
                }
                let bound = slot.guestIndex..<slot.guestIndex + pages
                guard file.bindings.allSatisfy({ $0.frames(backedBy: bound) == nil }) else { throw .invalidArgument }
            }
            guard slot.userIndex <= region.userMemory.pageCount, pages <= region.userMemory.pageCount - slot.userIndex
            else { throw .invalidArgument }
            guard slots.allSatisfy({ !$0.frames.overlaps(frames) }) else { throw .exists }
            if let file = region.guestMemory { try takeBackMisplaced(slot, file) }
            noteChange()
            region.guestMemory?.bindings.append(slot)
        }
        region.userMemory.bind(slot, of: self)
        let at = slots.firstIndex { $0.frames.lowerBound > frames.lowerBound } ?? slots.endIndex
        let hadDevicePages = nested.lock.withLock {
            noteChange()
            slots.insert(slot, at: at)
            return nested.hasDevicePages
        }
        guard hadDevicePages else { return }
        beginInvalidation(frames)
        endInvalidation(frames)
    }

    private func delete(_ slot: MemorySlot) {
        beginInvalidation(slot.frames)
        nested.lock.withLock {
            noteChange()
            slots.removeAll { $0 === slot }
        }
        if !host.has(.staleBinding) {
            backing.withLock {
                noteChange()
                slot.guestMemory?.bindings.removeAll { $0 === slot }
            }
        }
        endInvalidation(slot.frames)
        slot.userMemory.unbind(slot)
    }

    /// The frame of guest memory behind a guest frame of a slot, or nil if there is none. For tools; takes the lock.
    public func backingFrame(of gfn: GFN, in slot: MemorySlot) -> PFN? {
        backing.withLock { slot.guestMemory?.folios.frame(at: slot.guestIndex(of: gfn)) }
    }

    /// The slot that holds a frame. Caller holds `slotsLock` or the nested tables' lock.
    func slot(containing gfn: GFN) -> MemorySlot? {
        var low = 0
        var high = slots.count
        while low < high {
            let middle = (low + high) / 2
            if slots[middle].frames.upperBound <= gfn { low = middle + 1 } else { high = middle }
        }
        return low < slots.count && slots[low].frames.contains(gfn) ? slots[low] : nil
    }
}
