// The instructions with which a guest changes and reads the RMP entries of its own pages: PVALIDATE, RMPADJUST, RMPQUERY.
//
// The processor has already translated the guest virtual address: what arrives here is the frame, the guest physical
// address and the level at which the nested tables map it. CPL and #UD checks are the processor's.

public import SNPArchitecture
internal import Scheduling

/// Why a guest's RMP instruction did not complete.
@frozen public enum GuestInstructionFailure: Error, Hashable, Sendable {
    /// EAX.
    case status(RMPStatus)
    /// A fault.
    case fault(GuestFault)
}

/// A guest page as its instruction names it, after translation.
@frozen public struct GuestPage: Hashable, Sendable {
    /// The guest physical address that the instruction names.
    public var gpa: GPA
    /// The frame that the nested tables give for it.
    public var pfn: PFN
    /// The level of the nested mapping.
    public var level: PageLevel
    /// Makes a page.
    @inlinable public init(gpa: GPA, pfn: PFN, level: PageLevel) {
        self.gpa = gpa
        self.pfn = pfn
        self.level = level
    }
}

extension ReverseMapTable {
    /// PVALIDATE: the guest accepts a page, or rescinds that.
    ///
    /// - Returns: false (CF = 1) if the validated bit already had this value
    /// - Spec: APM3 PVALIDATE; APM2 15.36.6
    /// - Throws: in check order: `.failPermission` (not VMPL0), `.failInput` (unaligned), #NPF with RMP and ENC (not the
    ///   caller's page), #NPF with SIZEM (4K named, or mapped, of a 2M page), `.failSizeMismatch` (2M named of a 4K page)
    /// - Deviates: a VMPL other than 0 gets FAIL_PERMISSION; the manual's form of that refusal is not confirmed
    public func pvalidate(
        _ page: GuestPage, size: PageSize, validate: Bool, asid: ASID, vmpl: VMPL
    ) throws(GuestInstructionFailure) -> Bool {
        try watched(.pvalidate(page, size, validate: validate, asid: asid, vmpl: vmpl)) {
            () throws(GuestInstructionFailure) in
            try setValidated(page, size: size, validate, asid: asid, vmpl: vmpl)
        }
    }

    private func setValidated(
        _ page: GuestPage, size: PageSize, _ validate: Bool, asid: ASID, vmpl: VMPL
    ) throws(GuestInstructionFailure) -> Bool {
        schedulePoint(.pvalidate)
        guard vmpl == .vmpl0 else { throw .status(.failPermission) }
        let change = try begin(page, size: size, asid: asid)
        defer { endChange(change.pfn, change.sequence) }
        var entry = entry(change.pfn)
        guard entry.validated != validate else { return false }
        entry.validated = validate
        storeEntry(RMPEntryRaw(entry), change.pfn)
        return true
    }

    /// RMPADJUST: a VMPL sets the permissions of a less privileged one, and VMPL0 marks VMSA pages.
    ///
    /// - Spec: APM3 RMPADJUST; APM2 15.36.7
    /// - Throws: in check order: `.failPermission` (target VMPL not less privileged), `.failInput` (unaligned), #NPF and
    ///   `.failSizeMismatch` as PVALIDATE, #VC (not validated), `.failPermission` (more than the caller has), `.failInUse`
    ///   (the VMSA is running)
    /// - Deviates: the order between the faults and the second `.failPermission` is not confirmed
    public func rmpAdjust(
        _ page: GuestPage, size: PageSize, target: VMPL, permissions: VMPLPermissions, vmsa: Bool, asid: ASID,
        vmpl: VMPL
    ) throws(GuestInstructionFailure) {
        _ = try watched(.rmpAdjust(page, size, target: target, permissions, vmsa: vmsa, asid: asid, vmpl: vmpl)) {
            () throws(GuestInstructionFailure) in
            try adjust(page, size: size, target: target, permissions, vmsa: vmsa, asid: asid, vmpl: vmpl)
            return true
        }
    }

    private func adjust(
        _ page: GuestPage, size: PageSize, target: VMPL, _ permissions: VMPLPermissions, vmsa: Bool, asid: ASID,
        vmpl: VMPL
    ) throws(GuestInstructionFailure) {
        schedulePoint(.pvalidate)
        guard target > vmpl else { throw .status(.failPermission) }
        let change = try begin(page, size: size, asid: asid)
        defer { endChange(change.pfn, change.sequence) }
        var entry = entry(change.pfn)
        guard entry.validated else { throw .fault(.pageNotValidated(gpa: page.gpa)) }
        guard permissions.isSubset(of: entry.permissions[vmpl]) else { throw .status(.failPermission) }
        guard !entry.locked else { throw .status(.failInUse) }
        entry.permissions[target] = permissions
        if vmpl == .vmpl0 { entry.vmsa = vmsa }
        storeEntry(RMPEntryRaw(entry), change.pfn)
    }

    /// RMPQUERY: reads the permissions of a VMPL not more privileged than the caller, the VMSA bit and the size.
    ///
    /// - Spec: APM3 RMPQUERY
    /// - Throws: in check order: `.failPermission` (target more privileged), #NPF (not the caller's page), #VC (not validated)
    public func rmpQuery(
        _ page: GuestPage, target: VMPL, asid: ASID, vmpl: VMPL
    ) throws(GuestInstructionFailure) -> (permissions: VMPLPermissions, vmsa: Bool, size: PageSize) {
        schedulePoint(.rmpRead)
        guard target >= vmpl else { throw .status(.failPermission) }
        guard let entry = effectiveEntry(page.pfn), isOwned(entry, by: asid, at: page.gpa.frame) else {
            throw .fault(.nestedPageFault(gpa: page.gpa, error: Self.ownershipFault))
        }
        guard entry.validated else { throw .fault(.pageNotValidated(gpa: page.gpa)) }
        return (entry.permissions[target], entry.vmsa, entry.pageSize)
    }

    /// #NPF of a private access to a page that is not the caller's.
    static var ownershipFault: PageFaultError { [.present, .user, .rmp, .encrypted, .finalAddress] }

    private func isOwned(_ entry: RMPEntry, by asid: ASID, at gfn: GFN) -> Bool {
        entry.assigned && !entry.immutable && entry.asid == asid && entry.gfn == gfn
    }

    /// The checks that PVALIDATE and RMPADJUST share. On return the entry's region is held for a change.
    private func begin(
        _ page: GuestPage, size: PageSize, asid: ASID
    ) throws(GuestInstructionFailure) -> (pfn: PFN, sequence: UInt32) {
        guard page.gpa.isAligned(to: size) else { throw .status(.failInput) }
        guard covers(page.pfn) else {
            throw .fault(.nestedPageFault(gpa: page.gpa, error: Self.ownershipFault))
        }
        let head = page.pfn.aligned(down: .size2M)
        guard let sequence = beginChange(head) else { throw .status(.failInUse) }
        var finished = false
        defer { if !finished { endChange(head, sequence) } }
        guard let entry = effectiveEntry(page.pfn), isOwned(entry, by: asid, at: page.gpa.frame) else {
            throw .fault(.nestedPageFault(gpa: page.gpa, error: Self.ownershipFault))
        }
        if entry.pageSize == .size2M, size == .size4K || page.level == .level4K {
            throw .fault(.nestedPageFault(gpa: page.gpa, error: Self.ownershipFault.union(.sizeMismatch)))
        }
        guard entry.pageSize == size else { throw .status(.failSizeMismatch) }
        finished = true
        return (entry.pageSize == .size2M ? head : page.pfn, sequence)
    }
}
