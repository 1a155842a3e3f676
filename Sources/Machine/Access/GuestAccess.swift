// A guest's way to memory: TLB, nested walk, RMP check. The data itself moves in GuestAccess+Data.
//
// What this takes is a guest physical address and an effective C-bit; guest page tables are the processor's.

public import SNPArchitecture
internal import Scheduling

/// One virtual processor's port to guest memory. Not for use by several threads.
public final class GuestAccess {
    /// The machine's DRAM.
    public let memory: PhysicalMemory
    /// The machine's RMP.
    public let rmp: ReverseMapTable
    /// Translations of this processor.
    public let tlb: NestedTLB
    /// The machine's flush counters.
    public let epochs: TranslationEpochs
    // Both are read at every translation. One thread uses a port at a time, and no access outlives its expression: so there is
    // nothing for a check to find.
    /// Who runs. A change needs no flush: translations are tagged with ASID and VMPL.
    @safe @exclusivity(unchecked) public var context: RunningGuest
    /// The privilege of the guest's code.
    @safe @exclusivity(unchecked) public var privilege = GuestPrivilege.supervisor

    /// Makes a port with an empty TLB.
    public init(memory: PhysicalMemory, rmp: ReverseMapTable, epochs: TranslationEpochs, context: RunningGuest) {
        precondition(context.asid != .host && context.asid <= .maximum, "a guest's ASID")
        self.memory = memory
        self.rmp = rmp
        self.epochs = epochs
        self.context = context
        tlb = NestedTLB(rmp: rmp, epochs: epochs)
    }

    /// Translates one access and checks it, first by the nested tables, then by the RMP.
    ///
    /// - Spec: APM2 15.25.6, 15.36.10; EXITINFO1 has US always, and ENC when the C-bit is 1
    /// - Throws: #NPF of the walk, then what `ReverseMapTable.checkGuestAccess` throws
    @inlinable public func translate(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, for purpose: AccessPurpose = .finalAddress
    ) throws(GuestFault) -> CachedTranslation {
        let tag = TranslationTag(asid: context.asid, cBit: cBit, vmpl: context.vmpl, privilege: privilege)
        if let cached = tlb.lookup(gpa.frame, tag, kind) { return cached }
        return try walk(gpa, kind, cBit, purpose, tag)
    }

    /// Translates one access as `translate` does, and says under which generation of the RMP's region the frame was checked.
    @inlinable func translateNoting(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, for purpose: AccessPurpose
    ) throws(GuestFault) -> (value: CachedTranslation, generation: UInt32) {
        let tag = TranslationTag(asid: context.asid, cBit: cBit, vmpl: context.vmpl, privilege: privilege)
        if let cached = tlb.find(gpa.frame, tag, kind) { return cached }
        return try walkNoting(gpa, kind, cBit, purpose, tag)
    }

    /// Finds the page that a guest's RMP instruction names: by the nested tables alone, as the instruction checks the RMP
    /// itself.
    ///
    /// - Throws: #NPF of the walk, with ENC
    /// - Deviates: the walk counts as a data read; how hardware reports it is not confirmed
    public func resolve(_ gpa: GPA) throws(GuestFault) -> GuestPage {
        schedulePoint(.guestAccess)
        let page = try walkTables(gpa, .read, base: [.encrypted, .finalAddress])
        return GuestPage(gpa: gpa, pfn: page.pfn, level: page.level)
    }

    @usableFromInline func walk(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, _ purpose: AccessPurpose, _ tag: TranslationTag
    ) throws(GuestFault) -> CachedTranslation { try walkNoting(gpa, kind, cBit, purpose, tag).value }

    @usableFromInline func walkNoting(
        _ gpa: GPA, _ kind: AccessKind, _ cBit: CBit, _ purpose: AccessPurpose, _ tag: TranslationTag
    ) throws(GuestFault) -> (value: CachedTranslation, generation: UInt32) {
        let epoch = epochs.epoch(of: context.asid)
        var base = purpose.error
        if cBit == .private { base.formUnion(.encrypted) }
        let page = try walkTables(gpa, kind, base: base)
        if kind == .write { base.formUnion(.write) }
        if kind == .execute { base.formUnion(.instructionFetch) }
        // An access that meets a change of the RMP half done sees the entry before or after, but is not remembered.
        let generation = rmp.covers(page.pfn) ? rmp.generation(of: page.pfn) : 0
        var allowed = try rmp.checkGuestAccess(
            to: GuestPage(gpa: gpa, pfn: page.pfn, level: page.level), kind, cBit, asid: context.asid,
            vmpl: context.vmpl, privilege: privilege, base: base.union(.user))
        // A write must find the tables again until they are marked dirty.
        if !page.isWritable || !(page.isDirty || kind == .write) { allowed.remove(.write) }
        if !page.isExecutable { allowed.remove(.execute) }
        let found = CachedTranslation(pfn: page.pfn, level: page.level, allowed: allowed)
        tlb.insert(gpa.frame, tag, found, epoch: epoch, generation: generation)
        return (found, generation)
    }

    private func walkTables(
        _ gpa: GPA, _ kind: AccessKind, base: PageFaultError
    ) throws(GuestFault) -> WalkedPage {
        do {
            return try memory.walk(root: context.nestedRoot, address: gpa.rawValue, kind: kind, mode: .user)
        } catch {
            throw .nestedPageFault(gpa: gpa, error: error.error.union(base))
        }
    }
}
