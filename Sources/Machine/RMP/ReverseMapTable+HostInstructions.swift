// The instructions with which the hypervisor changes and reads the RMP: RMPUPDATE, PSMASH, RMPREAD.
//
// They run at CPL 0 of the host. The table's own frames are Firmware pages, immutable: so the table protects itself.

public import SNPArchitecture
internal import Scheduling

extension ReverseMapTable {
    /// RMPUPDATE: changes the owner, size and guest address of one page.
    ///
    /// A change of owner, guest address or size clears the validated and VMSA bits and gives VMPL0 all permissions, the
    /// others none. A rewrite with the same values keeps them.
    ///
    /// - Spec: APM3 RMPUPDATE; APM2 15.36.5
    /// - Throws: in check order: `.failInput` (SPA or GPA not aligned to the size, unassigned with an owner or immutable, no
    ///   owner and immutable and a GPA other than 0, GPA or ASID too large, SPA not covered), `.failOverlap` (another processor is changing the region), `.failPermission`
    ///   (immutable), `.failInUse` (locked), `.failOverlap` (2M over assigned 4K pages, 4K inside a 2M page)
    /// - Deviates: the order of `.failPermission`, `.failInUse` and `.failOverlap` is not confirmed by the manual, nor is the
    ///   refusal of a GPA for an immutable page without an owner, which follows from the page states; the other 511
    ///   entries of a 2 MiB page stay zero, so that the update is one write, where hardware may mark them; HV-fixed pages
    ///   inside the region do not refuse a 2 MiB update
    public func rmpUpdate(_ spa: SPA, to new: RMPUpdateState) throws(RMPStatus) {
        try watched(.rmpUpdate(spa, new)) { () throws(RMPStatus) in try update(spa, to: new) }
    }

    @inline(__always) private func update(_ spa: SPA, to new: RMPUpdateState) throws(RMPStatus) {
        schedulePoint(.rmpUpdate)
        let pfn = spa.frame
        if let failure = injection.failure(.rmpUpdate, pfn) { throw failure }
        guard spa.isAligned(to: new.pageSize), new.gpa.isAligned(to: new.pageSize) else { throw .failInput }
        guard new.assigned || (new.asid == .host && !new.immutable) else { throw .failInput }
        // An immutable page without an owner and with an address would be Metadata or an IOMMU's, which only firmware makes.
        guard new.asid != .host || !new.immutable || new.gpa == GPA(0) else { throw .failInput }
        guard new.gpa.rawValue < 1 << 51, new.asid <= .maximum else { throw .failInput }
        guard covers(pfn), new.pageSize == .size4K || covers(pfn + 511) else { throw .failInput }
        guard let sequence = beginChange(pfn) else { throw .failOverlap }
        defer { endChange(pfn, sequence) }
        let old = rawEntry(pfn)
        guard old.low & Low.immutable == 0 else { throw .failPermission }
        guard old.low & Low.lock == 0 else { throw .failInUse }
        let isHead = pfn.rawValue & 511 == 0
        let oldIs2M = old.low & Low.pageSize != 0 && old.low & Low.assigned != 0
        if new.pageSize == .size2M {
            guard old.low[Low.subpageCount] == 0 else { throw .failOverlap }
        } else {
            let head = isHead ? old : rawEntry(pfn.aligned(down: .size2M))
            guard head.low & (Low.assigned | Low.pageSize) != Low.assigned | Low.pageSize else { throw .failOverlap }
        }
        replace(pfn, old: old, oldIs2M: oldIs2M, with: new, isHead: isHead)
    }

    /// Writes the new entry and keeps the region's and the owner's counts.
    @inline(__always)
    private func replace(_ pfn: PFN, old: RMPEntryRaw, oldIs2M: Bool, with new: RMPUpdateState, isHead: Bool) {
        let wasAssigned = old.low & Low.assigned != 0
        var raw = RMPEntryRaw(low: old.low & Low.subpageCount.mask, high: 0)
        if new.assigned {
            raw.low |= Low.assigned | new.gpa.rawValue | UInt64(new.asid.rawValue) << 51
            if new.pageSize == .size2M { raw.low |= Low.pageSize }
            if new.immutable { raw.low |= Low.immutable }
            let identity = Low.assigned | Low.pageSize | Low.gfn.mask | Low.asid.mask
            if old.low & identity == raw.low & identity {
                raw.low |= old.low & (Low.validated | Low.vmsa)
                raw.high = old.high
            } else {
                raw.high = UInt64(VMPLPermissionSet.initial.rawValue)
            }
        }
        storeEntry(raw, pfn)
        if !isHead, wasAssigned != new.assigned { addToSubpageCount(pfn, new.assigned ? 1 : -1) }
        let oldASID = wasAssigned ? old.low[Low.asid] : 0
        let newASID = new.assigned ? UInt64(new.asid.rawValue) : 0
        let oldPages: UInt64 = oldIs2M ? 512 : 1
        if oldASID != newASID || oldPages != new.pageSize.pageCount {
            addToCounter(oldASID, 0 &- oldPages)
            addToCounter(newASID, new.pageSize.pageCount)
        }
    }

    /// PSMASH: splits a 2 MiB page into 512 entries of 4 KiB with the same owner, state and permissions.
    ///
    /// - Spec: APM3 PSMASH; APM2 15.36.11
    /// - Throws: in check order: `.failInput` (not 2 MiB aligned, not covered), `.failInUse` (another processor is changing
    ///   the region), `.failPermission` (not an assigned 2 MiB entry, or immutable), `.failInUse` (locked)
    /// - Deviates: the status for an entry that is already 4 KiB is not confirmed by the manual
    public func psmash(_ spa: SPA) throws(RMPStatus) {
        try watched(.psmash(spa)) { () throws(RMPStatus) in try smash(spa) }
    }

    private func smash(_ spa: SPA) throws(RMPStatus) {
        schedulePoint(.psmash)
        let pfn = spa.frame
        if let failure = injection.failure(.psmash, pfn) { throw failure }
        guard spa.isAligned(to: .size2M), covers(pfn), covers(pfn + 511) else { throw .failInput }
        guard let sequence = beginChange(pfn) else { throw .failInUse }
        defer { endChange(pfn, sequence) }
        let old = rawEntry(pfn)
        guard old.low & (Low.assigned | Low.pageSize | Low.immutable) == Low.assigned | Low.pageSize else {
            throw .failPermission
        }
        guard old.low & Low.lock == 0 else { throw .failInUse }
        var raw = RMPEntryRaw(low: old.low & ~(Low.pageSize | Low.subpageCount.mask), high: old.high)
        for index in 1..<512 as Range<UInt64> {
            raw.low = raw.low &+ 1 << 12
            storeEntry(raw, pfn + index)
        }
        raw.low = old.low & ~(Low.pageSize | Low.subpageCount.mask) | 511 << 3
        storeEntry(raw, pfn)
    }

    /// RMPREAD: reads what the RMP says of a page, less what is the guest's business.
    ///
    /// - Spec: APM3 RMPREAD
    /// - Throws: `.failInput` if the page is not covered
    /// - Deviates: inside a 2 MiB page the governing entry is reported
    public func rmpRead(_ spa: SPA) throws(RMPStatus) -> RMPReadResult {
        schedulePoint(.rmpRead)
        guard let entry = effectiveEntry(spa.frame) else { throw .failInput }
        let head = rawEntry(spa.frame.aligned(down: .size2M))
        return RMPReadResult(
            gpa: entry.gfn.address, assigned: entry.assigned, pageSize: entry.pageSize,
            regionHasAssignedPages: head.low & (Low.assigned | Low.subpageCount.mask) != 0,
            immutable: entry.immutable, asid: entry.asid)
    }

    @usableFromInline typealias Low = RMPEntryRaw.Low
}
