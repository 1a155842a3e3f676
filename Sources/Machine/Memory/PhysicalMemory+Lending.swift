// Whole frames lent to a processor's core, which reads and writes them without asking again until its translation goes.

public import SNPArchitecture

extension PhysicalMemory {
    /// The bytes of a frame under a key. A frame stored under another key is brought under this one first: what any key sees
    /// of it stays the same.
    ///
    /// The pointer holds as long as the memory does; that it may be used is for the borrower to know: see
    /// `GuestAccess.lend`.
    @unsafe public func lentBytes(of pfn: PFN, key: KeyID) -> UnsafeMutableRawPointer {
        precondition(contains(pfn), "outside DRAM")
        let bytes = unsafe pointer(pfn.address)
        if self.key(of: pfn) != key {
            let seen = self.bytes(pfn.address, count: 4096, key: key)
            unsafe seen.withUnsafeBytes {
                unsafe bytes.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: 4096)
            }
            setKey(key, of: pfn)
        }
        return unsafe bytes
    }
}

/// A page of guest memory that a core may use, and what its use depends on.
@unsafe public struct LentPage {
    /// The host's address of the page's first byte.
    public var bytes: UnsafeMutableRawPointer
    /// The frame.
    public var pfn: PFN
    /// What kinds of access the nested tables and the RMP allow.
    public var allowed: AllowedAccess
    /// The generation of the frame's 2 MiB region of the RMP, as read before the check.
    public var generation: UInt32
}

extension GuestAccess {
    /// Translates an access to a page and lends the page, or nil if no memory is behind it.
    ///
    /// The loan holds while the ASID is not flushed (`epochs`), the RMP's generation of the frame's region stays
    /// (`isCurrent`), and the VMPL and privilege are the same.
    ///
    /// - Throws: as `translate`
    public func lend(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, for purpose: AccessPurpose = .finalAddress
    ) throws(GuestFault) -> LentPage? {
        // The generation is the one that the check was made under, so that a change after it is noticed.
        let found = try translateNoting(gpa, kind, cBit, for: purpose)
        guard memory.contains(found.value.pfn) else { return nil }
        return unsafe LentPage(
            bytes: memory.lentBytes(of: found.value.pfn, key: key(cBit)), pfn: found.value.pfn,
            allowed: found.value.allowed, generation: found.generation)
    }

    /// Whether the RMP has not changed near a frame since a page was lent.
    public func isCurrent(_ pfn: PFN, _ generation: UInt32) -> Bool {
        !rmp.covers(pfn) || rmp.generation(of: pfn) == generation
    }
}
