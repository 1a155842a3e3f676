// The silicon's state outside DRAM and the tables that a log of changes covers.

public import SNPArchitecture
public import Scheduling

extension Machine {
    /// What a log of changes does not put back: registers, keys, findings of the audit.
    public func checkpoint() -> Checkpoint {
        var checkpoint = cores.checkpoint()
        checkpoint.add(iommu.checkpoint())
        checkpoint.add(mailbox.checkpoint())
        checkpoint.add(encryption.checkpoint())
        checkpoint.add(rmp.audit.checkpoint())
        return checkpoint
    }
}

extension ReverseMapTable {
    /// The last recorded write of a frame's entry, or of the 2 MiB entry that it lies in: who wrote, and the entry before.
    public func lastWrite(of pfn: PFN, in log: ChangeLog) -> (writer: ChangeLog.Writer, old: RMPEntry)? {
        guard covers(pfn) else { return nil }
        let head = pfn.aligned(down: .size2M)
        let first = entry(head)
        let governing = first.assigned && first.pageSize == .size2M ? head : pfn
        let own = unsafe log.lastWrite(at: entryPointer(governing))
        guard let own else { return nil }
        let high = rawEntry(governing).high
        return (own.writer, RMPEntryRaw(low: own.old, high: high).decoded)
    }
}
