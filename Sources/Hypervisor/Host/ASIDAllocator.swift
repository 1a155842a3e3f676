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
    private var used: Set<UInt32> = [] { didSet { version.change() } }
    private var dirty: Set<UInt32> = [] { didSet { version.change() } }
    /// Not checked for exclusive access: the lock guards it, and no call of it reaches a schedule point.
    @safe @exclusivity(unchecked) private var version = StateVersion()

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
        let number = version.current
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            guard version.current != number else { return }
            (used, dirty) = saved
            version.goBack(to: number)
        }
        return checkpoint
    }

    /// Which are used and which are dirty, as a number.
    func combine(into hasher: inout StateHasher) {
        version.combine(into: &hasher) {
            $0.combine(used.reduce(0) { $0 ^ 1 << UInt64($1 & 63) })
            $0.combine(dirty.reduce(0) { $0 ^ 1 << UInt64($1 & 63) })
        }
    }

    private func firstFree() -> ASID? {
        for number in 1..<max(limit, 1) where !used.contains(number) && !dirty.contains(number) {
            used.insert(number)
            return ASID(number)
        }
        return nil
    }

    /// Gives an ASID back; it is dirty until the next flush.
    public func free(_ asid: ASID) {
        lock.withLock {
            used.remove(asid.rawValue)
            if !defects.has(.dirtyASIDReused) { dirty.insert(asid.rawValue) }
        }
    }
}
