// Invariant 7: attributes, guest memory and the RMP agree as the policy says.

internal import Machine
internal import SNPArchitecture

extension VirtualMachine {
    /// Every assigned backing page is this guest's, under an eager policy at its address. Under an eager policy only a page with the private
    /// attribute is assigned, and every one that does not wait for a fault is; under a lazy one only a private page
    /// may become assigned, and it stays so until freed.
    func checkBacking(_ findings: inout Findings) {
        guard kind == .snp, let asid else { return }
        for slot in slots {
            guard let file = slot.guestMemory else { continue }
            for run in attributes.runs(in: slot.frames) {
                let range = SlotRange(slot: slot, frames: run.range)
                _ = range.forEachExtent(file) { extent in
                    extent.forEachRegion { region in
                        guard !findings.isFull else { return }
                        check(region, run.attribute, asid, !file.leavesPagesToFaults, &findings)
                    }
                }
            }
        }
    }

    /// One extent within one 2 MiB region of host frames, of one attribute.
    private func check(
        _ extent: Extent, _ attribute: MemoryAttribute, _ asid: ASID, _ isBackedFirst: Bool, _ findings: inout Findings
    ) {
        let rmp = host.machine.rmp
        // Memory of an absent segment of the RMP has no entries, and is nobody's.
        let head = rmp.effectiveEntry(extent.pfn.aligned(down: .size2M)) ?? RMPEntry()
        let mustBeAssigned = policy.isEager && attribute == .private && isBackedFirst
        if !head.assigned, head.subpageCount == 0 {
            if mustBeAssigned {
                findings.add(
                    7, "\(extent.gfn) (\(extent.count) pages) is private and its frames are not assigned",
                    about: extent.pfn)
            }
            return
        }
        // A 2M page that covers the extent needs one look.
        let step = head.assigned && head.pageSize == .size2M ? extent.count : 1
        var offset: UInt64 = 0
        while offset < extent.count {
            let gfn = extent.gfn + offset
            let pfn = extent.pfn + offset
            guard let entry = rmp.effectiveEntry(pfn) else { return }
            // Only the eager policy takes a page back whose file was bound elsewhere when it was assigned.
            let isMisplaced = policy.isEager && entry.gfn != gfn
            if entry.assigned, entry.asid != asid || isMisplaced {
                findings.add(
                    7, "guest frame \(gfn) has frame \(pfn), assigned to ASID \(entry.asid) at \(entry.gfn)", about: pfn
                )
            } else if mustBeAssigned, !entry.assigned {
                findings.add(7, "guest frame \(gfn) is private and its frame \(pfn) is not assigned", about: pfn)
            } else if policy.isEager, attribute == .shared, entry.assigned {
                findings.add(
                    7, "guest frame \(gfn) is shared and its frame \(pfn) is assigned to ASID \(entry.asid)", about: pfn
                )
            }
            offset += step
        }
    }
}
