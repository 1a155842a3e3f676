// ASIDs of SEV-ES and SNP guests. A freed ASID is reused only after WBINVD and SNP_DF_FLUSH.

public import SNPArchitecture
internal import Scheduling

/// Hands out ASIDs.
///
/// - Spec: hypervisor ASID rules; SNP guests use 1 up to the first ASID of plain SEV guests
public final class ASIDAllocator: @unchecked Sendable {
    private let lock = Lock(.asids)
    private let limit: UInt32
    private let defects: KnownDefects
    private var used: Set<UInt32> = []
    private var dirty: Set<UInt32> = []

    /// Makes an allocator over 1 to `limit` - 1.
    public init(limit: UInt32, defects: KnownDefects = []) {
        self.limit = limit
        self.defects = defects
    }

    /// Takes an ASID. When only dirty ones are left, `flush` must write back and flush, and they become usable.
    ///
    /// - Throws: EBUSY when there is none
    public func allocate(flush: () -> Bool) throws(Errno) -> ASID {
        try lock.withLock { () throws(Errno) in
            if let asid = firstFree() { return asid }
            guard !dirty.isEmpty, flush() else { throw .busy }
            dirty.removeAll()
            guard let asid = firstFree() else { throw .busy }
            return asid
        }
    }

    func checkpoint() -> Checkpoint {
        let saved = (used, dirty)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in (used, dirty) = saved }
        return checkpoint
    }

    /// Which are used and which are dirty, as a number.
    func combine(into hasher: inout StateHasher) {
        hasher.combine(used.reduce(0) { $0 ^ 1 << UInt64($1 & 63) })
        hasher.combine(dirty.reduce(0) { $0 ^ 1 << UInt64($1 & 63) })
    }

    private func firstFree() -> ASID? {
        for number in 1..<max(limit, 1) where !used.contains(number) && !dirty.contains(number) {
            noteChange()
            used.insert(number)
            return ASID(number)
        }
        return nil
    }

    /// Gives an ASID back; it is dirty until the next flush.
    public func free(_ asid: ASID) {
        lock.withLock {
            noteChange()
            used.remove(asid.rawValue)
            if !defects.has(.dirtyASIDReused) { dirty.insert(asid.rawValue) }
        }
    }
}
