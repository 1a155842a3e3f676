// The RMP's part of the access checks, as pure questions to the table. Rows of Spec/access-checks.tsv name each rule.

public import SNPArchitecture

extension ReverseMapTable {
    /// Whether the host, through a mapping of this size, or a device may write to the frame.
    ///
    /// A large mapping needs its whole 2 MiB region free of assigned pages: the fault does not wait for the very frame.
    ///
    /// - Spec: APM2 15.36.10, host accesses
    /// - Deviates: does not look at SYSCFG.SNP_EN: while SNP is off the emulated table is empty and refuses nothing
    @inlinable public func allowsHostWrite(_ pfn: PFN, level: PageLevel) -> Bool {
        guard covers(pfn) else { return true }
        let head = rawEntry(pfn.aligned(down: .size2M)).low
        if level != .level4K {
            return head & (RMPEntryRaw.Low.assigned | RMPEntryRaw.Low.subpageCount.mask) == 0
        }
        let large = RMPEntryRaw.Low.assigned | RMPEntryRaw.Low.pageSize
        return head & large != large && rawEntry(pfn).low & RMPEntryRaw.Low.assigned == 0
    }

    /// Checks a guest access whose nested translation is known.
    ///
    /// - Parameters:
    ///   - base: the error bits of the access: RW, US, ID and what it is for
    /// - Returns: the kinds of access that the RMP allows
    /// - Spec: APM2 15.36.10, guest accesses; 15.36.7 (VMPL permissions)
    /// - Throws: shared: #NPF RMP (assigned). Private, in check order: #NPF RMP (not covered, not assigned, ASID, immutable,
    ///   GPA, 2M mapping of a 4K page), #NPF RMP and SIZEM (4K mapping of a 2M page), #VC (not validated), #NPF RMP and VMPL
    /// - Deviates: SIZEM on a 4K mapping of a 2M page follows Linux's use of it; the order of the first five private checks
    ///   cannot be told apart by a guest. No supervisor shadow-stack check
    public func checkGuestAccess(
        to page: GuestPage, _ kind: AccessKind, _ cBit: CBit, asid: ASID, vmpl: VMPL, privilege: GuestPrivilege,
        base: PageFaultError
    ) throws(GuestFault) -> AllowedAccess {
        let refusal = base.union([.present, .rmp])
        let entry = effectiveEntry(page.pfn)
        if cBit == .shared {
            guard entry?.assigned != true else { throw .nestedPageFault(gpa: page.gpa, error: refusal) }
            return [.read, .write, .execute]
        }
        guard let entry, entry.assigned else { throw .nestedPageFault(gpa: page.gpa, error: refusal) }
        guard entry.asid == asid else { throw .nestedPageFault(gpa: page.gpa, error: refusal) }
        guard !entry.immutable else { throw .nestedPageFault(gpa: page.gpa, error: refusal) }
        guard entry.gfn == page.gpa.frame else { throw .nestedPageFault(gpa: page.gpa, error: refusal) }
        guard page.level == .level4K || entry.pageSize == .size2M else {
            throw .nestedPageFault(gpa: page.gpa, error: refusal)
        }
        guard page.level != .level4K || entry.pageSize == .size4K else {
            throw .nestedPageFault(gpa: page.gpa, error: refusal.union(.sizeMismatch))
        }
        guard entry.validated else { throw .pageNotValidated(gpa: page.gpa) }
        let allowed = Self.allowed(entry.permissions[vmpl], privilege)
        guard allowed.contains(AllowedAccess(kind)) else {
            throw .nestedPageFault(gpa: page.gpa, error: refusal.union(.vmpl))
        }
        return allowed
    }

    /// The kinds of access that a VMPL's permissions allow.
    @inlinable static func allowed(_ permissions: VMPLPermissions, _ privilege: GuestPrivilege) -> AllowedAccess {
        var allowed: AllowedAccess = []
        if permissions.contains(.read) { allowed.formUnion(.read) }
        if permissions.contains(.write) { allowed.formUnion(.write) }
        if permissions.contains(privilege == .user ? .executeUser : .executeSupervisor) { allowed.formUnion(.execute) }
        return allowed
    }
}
