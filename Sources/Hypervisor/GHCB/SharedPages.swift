// The kernel's way to a guest's shared memory: through the VMM's memory behind a slot, whatever the attribute says.

internal import SNPArchitecture
internal import Scheduling

/// A page of the VMM's memory that the kernel has mapped. It stays what it was when the slot goes.
struct MappedPage {
    let memory: UserMemory
    /// The page's first byte in `memory`.
    let offset: UInt64

    /// Copies the whole page out.
    func read() throws(Errno) -> [UInt8] { try memory.read(at: offset, count: 4096) }

    /// Copies bytes in; nothing happens when the host has no memory for the page.
    ///
    /// - Precondition: they lie within the page
    func store(_ bytes: [UInt8], at pageOffset: Int) {
        precondition(pageOffset >= 0 && pageOffset + bytes.count <= 4096, "outside the mapped page")
        try? memory.write(bytes, at: offset + UInt64(pageOffset))
    }

    /// Stores a quadword.
    ///
    /// - Precondition: the offset is one of the page's quadwords
    func store(_ value: UInt64, at pageOffset: Int) {
        precondition(pageOffset & 7 == 0 && 0..<4096 ~= pageOffset, "outside the mapped page")
        try? memory.write(value, at: offset + UInt64(pageOffset))
    }
}

extension VirtualMachine {
    /// Maps a guest's shared page, or nil when no slot holds it.
    ///
    /// A frame with the private attribute has such a page too: the host then reads and writes what no guest sees.
    func mapShared(_ gfn: GFN) -> MappedPage? {
        guard let slot = nested.lock.withLock({ slot(containing: gfn) }) else { return nil }
        return MappedPage(memory: slot.userMemory, offset: slot.userIndex(of: gfn) << 12)
    }

    /// Copies shared bytes out.
    ///
    /// - Throws: EFAULT (wraps, or no slot), ENOMEM
    func readShared(_ gpa: GPA, count: Int) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        try forEachSharedPiece(gpa, count) { page, offset, count throws(Errno) in
            bytes += try page.memory.read(at: page.offset + UInt64(offset), count: count)
        }
        return bytes
    }

    /// Copies bytes to shared memory.
    ///
    /// - Throws: EFAULT (wraps, or no slot), ENOMEM; bytes before the failing page have been stored
    func writeShared(_ bytes: [UInt8], at gpa: GPA) throws(Errno) {
        var done = 0
        try forEachSharedPiece(gpa, bytes.count) { page, offset, count throws(Errno) in
            try page.memory.write(Array(bytes[done..<done + count]), at: page.offset + UInt64(offset))
            done += count
        }
    }

    private func forEachSharedPiece(
        _ gpa: GPA, _ count: Int, _ body: (MappedPage, Int, Int) throws(Errno) -> Void
    ) throws(Errno) {
        guard gpa.advanced(checked: UInt64(count)) != nil else { throw .badAddress }
        var done = 0
        while done < count {
            let here = gpa + UInt64(done)
            let piece = min(4096 - here.pageOffset, count - done)
            guard let page = mapShared(here.frame) else { throw .badAddress }
            try body(page, here.pageOffset, piece)
            done += piece
        }
    }
}
