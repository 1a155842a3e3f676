// Who may use which ASID: per-CCX masks of what the caches and the data fabric may still hold of it.

internal import SNPArchitecture

/// The masks of one ASID; a bit for each core complex.
struct ASIDRecord: Hashable {
    /// Caches may hold lines of it: WBINVD and SNP_DF_FLUSH are needed before it can be used.
    var dirty: UInt64 = 0
    /// Usable.
    var clean: UInt64 = 0
    /// Given to a guest that may not run yet.
    var allocated: UInt64 = 0
    /// Given to a guest that may run.
    var inUse: UInt64 = 0
}

/// The records of all ASIDs.
///
/// - Spec: FWABI 56860, "ASID management"
struct ASIDTable: Hashable {
    /// The largest ASID with a key.
    let asidCount: UInt32
    let coresPerCCX: Int
    let coreCount: Int
    private var records: [ASIDRecord]

    /// Makes a table of ASIDs that were never used, but never flushed either.
    init(asidCount: UInt32, coreCount: Int, coresPerCCX: Int) {
        self.asidCount = min(asidCount, 0x3fe)
        self.coreCount = coreCount
        // A mask has 64 bits: a machine with more complexes gets larger ones.
        self.coresPerCCX = max(coresPerCCX, 1, (coreCount + 63) / 64)
        records = Array(repeating: ASIDRecord(), count: Int(self.asidCount) + 1)
        markAllDirty()
    }

    /// The number of core complexes.
    var ccxCount: Int { (coreCount + coresPerCCX - 1) / coresPerCCX }
    /// A bit for each complex.
    var everywhere: UInt64 { ccxCount >= 64 ? ~0 : (1 << UInt64(ccxCount)) - 1 }
    /// The cores of a complex.
    func cores(ofCCX index: Int) -> Range<Int> { (index * coresPerCCX)..<min((index + 1) * coresPerCCX, coreCount) }
    /// Whether the ASID has a record: 1 up to the largest.
    func contains(_ asid: ASID) -> Bool { asid != .host && asid.rawValue <= asidCount }

    subscript(_ asid: ASID) -> ASIDRecord {
        get { records[Int(asid.rawValue)] }
        set { records[Int(asid.rawValue)] = newValue }
    }

    /// After SNP_INIT every ASID needs a flush.
    mutating func markAllDirty() {
        for index in 1..<records.count { records[index] = ASIDRecord(dirty: everywhere) }
    }

    /// SNP_DF_FLUSH: what was dirty in the given complexes is clean.
    mutating func flush(_ ccxMask: UInt64) {
        for index in 1..<records.count {
            records[index].clean |= records[index].dirty & ccxMask
            records[index].dirty &= ~ccxMask
        }
    }

    /// Gives an ASID to a guest that does not run yet, on every complex where it is clean or on some of them.
    mutating func allocate(_ asid: ASID, on mask: UInt64 = ~0) {
        self[asid].allocated |= self[asid].clean & mask
        self[asid].clean &= ~mask
    }

    /// Lets the guest of an ASID run.
    mutating func activate(_ asid: ASID) {
        self[asid].inUse |= self[asid].allocated
        self[asid].allocated = 0
    }

    /// Takes an ASID from its guest: where it could run it is dirty, elsewhere clean.
    mutating func deactivate(_ asid: ASID) {
        self[asid].dirty |= self[asid].inUse
        self[asid].clean |= self[asid].allocated
        self[asid].inUse = 0
        self[asid].allocated = 0
    }

    /// Whether every ASID is clean on every complex, as SNP_SHUTDOWN requires.
    var allAreClean: Bool { records.dropFirst().allSatisfy { $0.clean == everywhere } }
}
