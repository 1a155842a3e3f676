// Guest data in and out, page by page, each page under the key that its C-bit selects.

public import SNPArchitecture
internal import Scheduling

extension GuestAccess {
    /// Copies bytes out of guest memory.
    ///
    /// - Throws: what `translate` throws for the first page that faults; bytes before it have been copied
    public func read(
        _ gpa: GPA, into buffer: UnsafeMutableRawBufferPointer, _ cBit: CBit, kind: AccessKind = .read,
        for purpose: AccessPurpose = .finalAddress
    ) throws(GuestFault) {
        var done = 0
        while done < buffer.count {
            schedulePoint(.guestAccess)
            let here = GPA(gpa.rawValue &+ UInt64(done))
            let count = min(4096 - here.pageOffset, buffer.count - done)
            let spa = try address(here, kind, cBit, purpose)
            let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            if memory.contains(spa, count: UInt64(count)) {
                unsafe memory.read(spa, into: piece, key: key(cBit))
            } else {
                // No memory answers: the bus floats high.
                unsafe piece.initializeMemory(as: UInt8.self, repeating: 0xff)
            }
            done += count
        }
    }

    /// Reads an aligned quadword, as a walk of the guest's page tables does. For a reader that keeps what it has read: says in
    /// which frame it lies, and under which generation of the RMP's region that was found.
    ///
    /// - Throws: what `translate` throws
    public func quadwordNoting(
        _ gpa: GPA, _ cBit: CBit, for purpose: AccessPurpose
    ) throws(GuestFault) -> (value: UInt64, pfn: PFN, generation: UInt32) {
        schedulePoint(.guestAccess)
        let found = try translateNoting(gpa, .read, cBit, for: purpose)
        let spa = SPA(found.value.pfn.address.rawValue + UInt64(gpa.pageOffset))
        // No memory answers: the bus floats high.
        let value = memory.contains(spa, count: 8) ? memory.quadword(at: spa, key: key(cBit)) : ~0
        return (value, found.value.pfn, found.generation)
    }

    /// Copies bytes into guest memory.
    ///
    /// - Throws: what `translate` throws for the first page that faults; bytes before it have been stored
    public func write(
        _ gpa: GPA, from buffer: UnsafeRawBufferPointer, _ cBit: CBit, for purpose: AccessPurpose = .finalAddress
    ) throws(GuestFault) {
        var done = 0
        while done < buffer.count {
            schedulePoint(.guestAccess)
            let here = GPA(gpa.rawValue &+ UInt64(done))
            let count = min(4096 - here.pageOffset, buffer.count - done)
            let spa = try address(here, .write, cBit, purpose)
            if memory.contains(spa, count: UInt64(count)) {
                unsafe memory.write(
                    spa, from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + count]), key: key(cBit))
            }
            done += count
        }
    }

    /// Reads bytes of guest memory.
    ///
    /// - Throws: as `read(_:into:_:kind:for:)`
    public func bytes(
        _ gpa: GPA, count: Int, _ cBit: CBit, kind: AccessKind = .read
    ) throws(GuestFault) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var fault: GuestFault?
        unsafe result.withUnsafeMutableBytes { buffer in
            do throws(GuestFault) { unsafe try read(gpa, into: buffer, cBit, kind: kind) } catch { fault = error }
        }
        if let fault { throw fault }
        return result
    }

    /// Stores bytes in guest memory.
    ///
    /// - Throws: as `write(_:from:_:for:)`
    public func store(_ bytes: [UInt8], at gpa: GPA, _ cBit: CBit) throws(GuestFault) {
        var fault: GuestFault?
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(GuestFault) { unsafe try write(gpa, from: buffer, cBit) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    /// The key of an access.
    @inlinable func key(_ cBit: CBit) -> KeyID { cBit == .private ? context.key : .plain }

    private func address(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, _ purpose: AccessPurpose
    ) throws(GuestFault) -> SPA {
        SPA(try translate(gpa, kind, cBit, for: purpose).pfn.address.rawValue | UInt64(gpa.pageOffset))
    }
}
