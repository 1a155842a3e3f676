// Invariants 1 and 2: what nested tables map, the RMP allows.

internal import Machine
internal import SNPArchitecture

extension VirtualMachine {
    /// 1: a mapping of a private frame has an RMP entry of this guest, at this address; at rest the sizes agree.
    /// 2: a mapping of a shared frame has no assigned page under it. 3: no mapping leads to a free frame.
    func checkMappings(_ moment: InvariantMoment, _ findings: inout Findings) {
        guard !nested.isDestroyed else { return }
        nested.table.table.forEachLeaf { frame, mapping in
            guard !findings.isFull else { return }
            let gfn = GFN(frame)
            guard mapping.pfn != NestedTables.deviceFrame else {
                if slot(containing: gfn) != nil { findings.add(1, "guest frame \(gfn) has a slot and is a device's") }
                return
            }
            if host.allocator.isFreeUnlocked(mapping.pfn) {
                return findings.add(
                    3, "guest frame \(gfn) maps frame \(mapping.pfn), which is free", about: mapping.pfn)
            }
            if kind == .snp, isPrivateFrame(mapping.pfn, gfn) {
                checkPrivate(gfn, mapping, moment, &findings)
            } else {
                checkShared(gfn, mapping, &findings)
            }
        }
    }

    /// Whether the frame is what guest memory holds for this guest frame.
    private func isPrivateFrame(_ pfn: PFN, _ gfn: GFN) -> Bool {
        guard let slot = slot(containing: gfn), let file = slot.guestMemory else { return false }
        return file.folios.frame(at: slot.guestIndex(of: gfn)) == pfn
    }

    private func checkPrivate(
        _ gfn: GFN, _ mapping: PageMapping, _ moment: InvariantMoment, _ findings: inout Findings
    ) {
        guard let entry = host.machine.rmp.effectiveEntry(mapping.pfn), entry.assigned else {
            return findings.add(
                1, "guest frame \(gfn) maps private frame \(mapping.pfn), which is not assigned", about: mapping.pfn)
        }
        if entry.asid != asid || entry.gfn != gfn {
            findings.add(
                1, "guest frame \(gfn) maps frame \(mapping.pfn), assigned to ASID \(entry.asid) at \(entry.gfn)",
                about: mapping.pfn)
        }
        if moment == .atRest, mapping.level > .level4K, entry.pageSize == .size4K {
            findings.add(
                1, "guest frame \(gfn) is mapped \(mapping.level) and frame \(mapping.pfn) is 4K in the RMP",
                about: mapping.pfn)
        }
    }

    private func checkShared(_ gfn: GFN, _ mapping: PageMapping, _ findings: inout Findings) {
        for offset in 0..<mapping.level.pageCount {
            if host.machine.rmp.effectiveEntry(mapping.pfn + offset)?.assigned == true {
                return findings.add(
                    2, "guest frame \(gfn + offset) shares frame \(mapping.pfn + offset), which is assigned",
                    about: mapping.pfn + offset)
            }
        }
    }
}
