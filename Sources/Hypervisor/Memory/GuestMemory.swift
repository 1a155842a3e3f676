// guest_memfd: the file that holds a guest's private pages. Its frames may be assigned to the guest in the RMP, so the
// host never maps them; freeing one takes it back from the RMP first.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

/// A guest_memfd file of one virtual machine.
///
/// The machine's `backing` lock guards the folios and bindings. Locks: slots, then backing, then nested tables.
public final class GuestMemory: @unchecked Sendable {
    /// The size in bytes, a multiple of 4 KiB; it never changes.
    public let byteCount: UInt64
    /// The largest folio that allocation tries: an order the allocator serves.
    public let folioOrder: UInt8
    let folios: Folios
    /// The slots bound to the file.
    var bindings: [MemorySlot] = [] { didSet { noteChange() } }
    /// The machine it belongs to; gone once that is destroyed.
    weak var machine: VirtualMachine?
    /// Some page of a private frame is not assigned, and waits for a fault: it was backed after the conversion, or firmware
    /// refused to launch it. For the invariants.
    var leavesPagesToFaults = false

    init(byteCount: UInt64, folioOrder: UInt8, machine: VirtualMachine) throws(MachineError) {
        self.byteCount = byteCount
        self.folioOrder = folioOrder
        self.machine = machine
        folios = try Folios(pageCount: byteCount >> 12)
    }

    func checkpoint() -> Checkpoint {
        let saved = (bindings, leavesPagesToFaults)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in (bindings, leavesPagesToFaults) = saved }
        return checkpoint
    }

    /// The number of pages.
    public var pageCount: UInt64 { byteCount >> 12 }
}

extension VirtualMachine {
    /// KVM_CREATE_GUEST_MEMFD: makes a file for private pages.
    ///
    /// - Parameter folioOrder: the largest folio to allocate: 0 to 9, or 18
    /// - Throws: in check order: EIO (dead VM), EINVAL (flags, size 0 or unaligned, no such order), ENOMEM
    public func createGuestMemory(byteCount: UInt64, flags: UInt64 = 0, folioOrder: UInt8 = 9) throws(Errno)
        -> GuestMemory
    {
        try checkAlive()
        guard flags == 0 else { throw .invalidArgument }
        guard byteCount > 0, byteCount & 0xfff == 0, byteCount < 1 << 48 else { throw .invalidArgument }
        guard HostPageAllocator.orders.contains(folioOrder) else { throw .invalidArgument }
        do {
            let file = try GuestMemory(byteCount: byteCount, folioOrder: folioOrder, machine: self)
            backing.withLock { guestMemories.append(file) }
            return file
        } catch {
            throw .noMemory
        }
    }

    /// fallocate(FALLOC_FL_KEEP_SIZE): backs a range of the file. The RMP is not touched: that is the conversion's or fault's.
    ///
    /// - Throws: in check order: EIO (dead VM), EINVAL (unaligned, length 0, past the end), ENOMEM (what was allocated stays)
    public func allocate(_ file: GuestMemory, offset: UInt64, byteCount: UInt64) throws(Errno) {
        try checkAlive()
        let range = try pages(offset, byteCount, of: file)
        guard range.upperBound <= file.pageCount else { throw .invalidArgument }
        try backing.withLock { () throws(Errno) in
            try checkAlive()
            var index = range.lowerBound
            while index < range.upperBound {
                if let folio = file.folios.folio(at: index) {
                    index = folio.index + folio.pageCount
                } else {
                    let folio = try allocateFolio(file, at: index)
                    if host.has(.preparedAtAllocation) { prepareAtAllocation(file, folio) }
                    index = folio.index + folio.pageCount
                }
            }
        }
    }

    /// fallocate(FALLOC_FL_PUNCH_HOLE): frees a range of the file. Guest mappings go first, then the RMP, then the frames.
    ///
    /// A folio that the range covers only in part is split first. A frame that the RMP does not give back is leaked and the
    /// VM is dead. A range past the end of the file is nothing to do.
    ///
    /// - Throws: in check order: EINVAL (unaligned, length 0)
    public func punchHole(_ file: GuestMemory, offset: UInt64, byteCount: UInt64) throws(Errno) {
        var range = try pages(offset, byteCount, of: file)
        range = min(range.lowerBound, file.pageCount)..<min(range.upperBound, file.pageCount)
        slotsLock.withLock {
            backing.withLock {
                let zapped = file.bindings.compactMap { $0.frames(backedBy: range) }
                for frames in zapped {
                    beginInvalidation(frames)
                    launch.launched.set(frames, to: .shared)
                }
                free(file, range)
                for frames in zapped { endInvalidation(frames) }
            }
        }
    }

    /// The frame behind a page of the file, with the folio it is part of. Allocates and clears if asked. Caller holds `backing`.
    func backingFolio(_ file: GuestMemory, _ index: UInt64, allocate: Bool) throws(Errno) -> Folio? {
        schedulePoint(.backing)
        guard index < file.pageCount else { throw .badAddress }
        var folio = file.folios.folio(at: index)
        if folio == nil, allocate { folio = try allocateFolio(file, at: index) }
        guard let folio else { return nil }
        if allocate, !folio.isCleared {
            clear(folio)
            file.folios.markCleared(folio)
        }
        return folio
    }

    private func pages(_ offset: UInt64, _ byteCount: UInt64, of file: GuestMemory) throws(Errno) -> Range<UInt64> {
        guard offset & 0xfff == 0, byteCount & 0xfff == 0, byteCount > 0 else { throw .invalidArgument }
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow else { throw .invalidArgument }
        return offset >> 12..<end >> 12
    }

    /// Allocates the largest folio that the file's order, its end and its neighbours allow, at the aligned place of `index`.
    private func allocateFolio(_ file: GuestMemory, at index: UInt64) throws(Errno) -> Folio {
        for order in HostPageAllocator.orders.reversed() where order <= file.folioOrder {
            let start = index & ~(1 << UInt64(order) &- 1)
            guard start + 1 << UInt64(order) <= file.pageCount else { continue }
            if order > 0, isAnythingBacked(file, start..<start + 1 << UInt64(order)) { continue }
            guard let block = host.allocator.allocate(order: order) else { continue }
            let folio = Folio(index: start, pfn: block.pfn, order: order, isCleared: block.isFresh)
            file.folios.insert(folio)
            noteBacking(file, folio)
            return folio
        }
        throw .noMemory
    }

    /// Remembers that a folio came after the conversion of its guest frames.
    func noteBacking(_ file: GuestMemory, _ folio: Folio) {
        guard !file.leavesPagesToFaults else { return }
        for frames in file.bindings.compactMap({ $0.frames(backedBy: folio.index..<folio.index + folio.pageCount) }) {
            if nested.lock.withLock({ !attributes.isUniform(frames, .shared) }) { file.leavesPagesToFaults = true }
        }
    }

    private func isAnythingBacked(_ file: GuestMemory, _ range: Range<UInt64>) -> Bool {
        var found = false
        file.folios.forEach(in: range) { _ in found = true }
        return found
    }

    private func clear(_ folio: Folio) {
        for page in 0..<folio.pageCount where host.rmp.lookup(folio.pfn + page)?.assigned != true {
            host.clearFrame(folio.pfn + page)
        }
    }

    /// Frees the folios of a range, splitting those that stick out. Caller holds the locks and an invalidation bracket.
    func free(_ file: GuestMemory, _ range: Range<UInt64>) {
        var edges = [range.lowerBound, range.upperBound].compactMap {
            file.folios.folio(at: min($0, file.pageCount - 1))
        }
        if edges.count == 2, edges[0] == edges[1] { edges.removeLast() }
        for folio in edges where folio.index < range.lowerBound || folio.index + folio.pageCount > range.upperBound {
            guard folio.index < range.upperBound, folio.index + folio.pageCount > range.lowerBound else { continue }
            splitAround(file, folio, range)
        }
        file.folios.forEach(in: range) { folio in
            guard folio.index >= range.lowerBound, folio.index + folio.pageCount <= range.upperBound else { return }
            file.folios.remove(folio)
            guard !host.has(.sharedPageLost) || !loseIfShared(folio, file) else { return }
            releaseFolio(folio)
        }
    }

    /// Splits a folio so that no folio crosses an end of the range: 1 GiB into 2 MiB, smaller ones into single pages.
    private func splitAround(_ file: GuestMemory, _ folio: Folio, _ range: Range<UInt64>) {
        file.folios.split(folio, to: folio.order == 18 ? 9 : 0)
        guard folio.order == 18 else { return }
        for edge in [range.lowerBound, range.upperBound] {
            guard edge > folio.index, edge < folio.index + folio.pageCount, edge & 511 != 0 else { continue }
            if let part = file.folios.folio(at: edge), part.order == 9 { file.folios.split(part, to: 0) }
        }
    }
}
