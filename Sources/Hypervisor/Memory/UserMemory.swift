// The VMM's own memory, which backs a slot's shared pages. Host frames, allocated on first use, never assigned to a guest.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// A range of the VMM's anonymous memory.
public final class UserMemory: @unchecked Sendable {
    /// The size in pages.
    public let pageCount: UInt64
    let host: Host
    private let folios: Folios
    private let lock = Lock(.userMemory)
    /// The slots whose shared pages it backs. A fault can find a slot only while it is here.
    private var bindings: [Binding] = []

    private struct Binding {
        weak var machine: VirtualMachine?
        let slot: MemorySlot
    }

    /// Maps memory; frames come on first use.
    ///
    /// - Throws: EINVAL (size 0 or unaligned), ENOMEM
    public init(host: Host, byteCount: UInt64) throws(Errno) {
        guard byteCount > 0, byteCount & 0xfff == 0, byteCount < 1 << 48 else { throw .invalidArgument }
        do { folios = try Folios(pageCount: byteCount >> 12) } catch { throw .noMemory }
        self.host = host
        pageCount = byteCount >> 12
    }

    deinit {
        folios.forEach(in: 0..<pageCount) { folio in host.allocator.free(folio.pfn, order: folio.order) }
    }

    /// The frame behind a page; allocated and cleared on first use.
    ///
    /// - Throws: EFAULT (past the end), ENOMEM
    public func frame(at index: UInt64) throws(Errno) -> PFN {
        guard index < pageCount else { throw .badAddress }
        return try lock.withLock { () throws(Errno) in
            if let pfn = folios.frame(at: index) { return pfn }
            guard let block = host.allocator.allocate(order: 0) else { throw .noMemory }
            if !block.isFresh { host.clearFrame(block.pfn) }
            folios.insert(Folio(index: index, pfn: block.pfn, order: 0, isCleared: true))
            return block.pfn
        }
    }

    /// Gives back the frames of a range, as madvise(MADV_DONTNEED) does. They read as zero afterwards, and guests that map
    /// them fault again.
    ///
    /// - Spec: Linux: the MMU notifier of KVM
    public func discard(_ pages: Range<UInt64>) {
        let pages = pages.clamped(to: 0..<pageCount)
        guard !pages.isEmpty else { return }
        lock.withLock {
            let mapped = bindings.compactMap { binding in
                binding.machine.flatMap { machine in binding.slot.frames(sharing: pages).map { (machine, $0) } }
            }
            for (machine, frames) in mapped { machine.beginInvalidation(frames) }
            folios.forEach(in: pages) { folio in
                folios.remove(folio)
                host.allocator.free(folio.pfn, order: folio.order)
            }
            for (machine, frames) in mapped { machine.endInvalidation(frames) }
        }
    }

    /// Notes a slot before faults can find it.
    func bind(_ slot: MemorySlot, of machine: VirtualMachine) {
        lock.withLock { bindings.append(Binding(machine: machine, slot: slot)) }
    }

    /// Forgets a slot that faults can find no more.
    func unbind(_ slot: MemorySlot) { lock.withLock { bindings.removeAll { $0.slot === slot } } }

    func checkpoint() -> Checkpoint {
        let saved = bindings
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in bindings = saved }
        return checkpoint
    }

    /// Copies the VMM's bytes in, as a store of the VMM does.
    ///
    /// - Throws: EFAULT (past the end, or the RMP refuses the write), ENOMEM
    public func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        try forEachPiece(offset, bytes.count) { pfn, pageOffset, done, count throws(Errno) in
            try host.write(bytes[done..<done + count], at: pfn.address + UInt64(pageOffset))
        }
    }

    /// Stores a quadword, as a store of the VMM does.
    ///
    /// - Precondition: the offset is a multiple of 8
    /// - Throws: as the store of bytes
    func write(_ value: UInt64, at offset: UInt64) throws(Errno) {
        precondition(offset & 7 == 0, "a quadword")
        let pfn = try frame(at: offset >> 12)
        do { try host.access.store(value, at: pfn.address + (offset & 0xfff)) } catch { throw .badAddress }
    }

    /// Copies bytes out, as a load of the VMM does.
    ///
    /// - Throws: EFAULT (past the end), ENOMEM
    public func read(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
        // Most reads lie in one page, which needs no second array.
        if count > 0, count <= 4096, offset < pageCount << 12, offset & 0xfff + UInt64(count) <= 4096 {
            return try host.read(try frame(at: offset >> 12).address + (offset & 0xfff), count: count)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        try forEachPiece(offset, count) { pfn, pageOffset, _, count throws(Errno) in
            bytes += try host.read(pfn.address + UInt64(pageOffset), count: count)
        }
        return bytes
    }

    /// Every frame it holds, for the invariants.
    func forEachFolio(_ body: (Folio) -> Void) { folios.forEach(in: 0..<pageCount) { body($0) } }

    private func forEachPiece(
        _ offset: UInt64, _ count: Int, _ body: (PFN, Int, Int, Int) throws(Errno) -> Void
    ) throws(Errno) {
        guard offset <= pageCount << 12, UInt64(count) <= pageCount << 12 - offset else { throw .badAddress }
        var done = 0
        while done < count {
            let here = offset + UInt64(done)
            let piece = min(4096 - Int(here & 0xfff), count - done)
            try body(try frame(at: here >> 12), Int(here & 0xfff), done, piece)
            done += piece
        }
    }
}

extension LockRank {
    /// A range of user memory: taken inside the slots' and backing locks.
    static let userMemory = LockRank(order: 350, name: "user memory")
}
