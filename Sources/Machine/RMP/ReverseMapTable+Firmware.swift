// What the AMD Secure Processor, and only it, does to RMP entries. Firmware ignores immutable and the lock.

internal import CPlatform
public import SNPArchitecture

extension ReverseMapTable {
    /// Writes an entry for firmware. The region's sub-page count is kept and follows a change of the assigned bit; the lock
    /// bit of an assigned page is written equal to immutable, as firmware does.
    ///
    /// - Spec: FWABI 56860; secure-processor entry update protocol
    public func firmwareWrite(_ pfn: PFN, _ entry: RMPEntry) {
        let sequence = waitForChange(pfn)
        let old = rawEntry(pfn)
        var entry = entry
        entry.subpageCount = UInt16(old.low[RMPEntryRaw.Low.subpageCount])
        entry.locked = entry.immutable && entry.assigned
        storeEntry(RMPEntryRaw(entry), pfn)
        let wasAssigned = old.low & RMPEntryRaw.Low.assigned != 0
        if pfn.rawValue & 511 != 0, wasAssigned != entry.assigned { addToSubpageCount(pfn, entry.assigned ? 1 : -1) }
        endChange(pfn, sequence)
        if watch.isArmed { watch.tell(.firmwareWrite(pfn, entry), .done) }
    }

    /// Makes 512 entries of 4 KiB one entry of 2 MiB with the state of the first. The caller has checked them.
    ///
    /// - Deviates: entries 1 to 511 become all zero, where firmware leaves them assigned with ASID 0. A 2 MiB page's
    ///   sub-entries have no meaning, and zero lets a later 2 MiB RMPUPDATE free the page in one write
    public func firmwareUnsmash(_ head: PFN) {
        precondition(head.isAligned(to: .size2M), "2 MiB")
        let sequence = waitForChange(head)
        var entry = entry(head)
        entry.pageSize = .size2M
        entry.subpageCount = 0
        for index in 1..<512 as Range<UInt64> { storeEntry(RMPEntryRaw(low: 0, high: 0), head + index) }
        storeEntry(RMPEntryRaw(entry), head)
        endChange(head, sequence)
        if watch.isArmed { watch.tell(.firmwareUnsmash(head), .done) }
    }

    /// Clears the whole table and its counters: every frame is the hypervisor's. Costs what the table had touched.
    public func firmwareClear() {
        clear()
        if watch.isArmed { watch.tell(.firmwareClear, .done) }
    }

    /// Marks the entry of a VMSA as in use by a running virtual CPU, or not: RMPUPDATE then returns FAIL_INUSE.
    public func setInUse(_ pfn: PFN, _ inUse: Bool) {
        let sequence = waitForChange(pfn)
        var entry = entry(pfn)
        entry.locked = inUse
        storeEntry(RMPEntryRaw(entry), pfn)
        endChange(pfn, sequence)
    }

    /// Firmware waits for microcode to leave the region. No schedule point lies inside an instruction, so this is short.
    private func waitForChange(_ pfn: PFN) -> UInt32 {
        while true {
            if let sequence = beginChange(pfn) { return sequence }
            cp_relax()
        }
    }
}
