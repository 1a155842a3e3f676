// Invariants 3, 4, 5 and 9: each frame has one owner; free frames are the host's; leaked ones stay out of use.

internal import Machine
internal import SNPArchitecture

extension Host {
    /// 3: no two guest frames or machines own one frame. 4: a free frame is the hypervisor's in the RMP. 5: a leaked frame is
    /// neither free nor owned. 9: without machines, what is assigned is the RMP's own, firmware's, or leaked.
    func checkOwnership(_ machines: [VirtualMachine], _ moment: InvariantMoment, _ findings: inout Findings) {
        guard var owned = OwnedFrames(count: machine.memory.frameCount) else { return }
        for machine in machines { machine.claimFrames(&owned, &findings) }
        guard var lost = leaked.unlocked.isEmpty ? OwnedFrames(count: 1) : OwnedFrames(count: machine.memory.frameCount)
        else { return }
        for leak in leaked.unlocked {
            for pfn in leak.frames {
                if !lost.insert(pfn, 1) {
                    findings.add(5, "frame \(pfn) has leaked and is on the list of leaked pages twice", about: pfn)
                }
                if owned.contains(pfn) { findings.add(5, "frame \(pfn) has leaked and is in use", about: pfn) }
                if allocator.isFreeUnlocked(pfn) { findings.add(5, "frame \(pfn) has leaked and is free", about: pfn) }
            }
        }
        // A half-done call may have freed a frame in one place and not yet in the other.
        guard moment == .atRest else { return }
        allocator.forEachFreeRunUnlocked { run in
            guard !findings.isFull else { return }
            if owned.overlaps(run) { findings.add(3, "a frame of \(run) is free and in use") }
            guard let head = machine.rmp.effectiveEntry(run.lowerBound.aligned(down: .size2M)) else { return }
            guard head.assigned || head.subpageCount > 0 || head.immutable else { return }
            for pfn in run {
                guard let entry = machine.rmp.effectiveEntry(pfn), entry.assigned || entry.immutable else { continue }
                findings.add(4, "frame \(pfn) is free and in state \(entry.state), ASID \(entry.asid)", about: pfn)
            }
        }
    }
}

extension VirtualMachine {
    fileprivate func claimFrames(_ owned: inout OwnedFrames, _ findings: inout Findings) {
        for file in guestMemories {
            file.folios.forEach(in: 0..<file.pageCount) { folio in
                claim(folio.pfn, folio.pageCount, "page \(folio.index) of a guest memory", &owned, &findings)
            }
        }
        var seen: [ObjectIdentifier] = []
        for slot in slots where !seen.contains(ObjectIdentifier(slot.userMemory)) {
            seen.append(ObjectIdentifier(slot.userMemory))
            slot.userMemory.forEachFolio { folio in
                claim(folio.pfn, folio.pageCount, "page \(folio.index) of a user memory", &owned, &findings)
            }
        }
        for cpu in virtualCPUs {
            if let pfn = cpu.vmsaFrame { claim(pfn, 1, "the VMSA of virtual CPU \(cpu.id)", &owned, &findings) }
        }
        if let pfn = launch.context { claim(pfn, 1, "the guest context", &owned, &findings) }
        if let pages = launch.requestPages {
            claim(pages.request, 1, "the page for guest requests", &owned, &findings)
            claim(pages.response, 1, "the page for answers to guest requests", &owned, &findings)
        }
    }

    private func claim(
        _ pfn: PFN, _ count: UInt64, _ what: String, _ owned: inout OwnedFrames, _ findings: inout Findings
    ) {
        if !owned.insert(pfn, count) { findings.add(3, "frame \(pfn) is \(what), and somebody else's too", about: pfn) }
    }
}

/// One bit for each frame, set while somebody owns it. It lives as long as one check and is no part of the host's state: an
/// explored run must not see that somebody has looked.
private struct OwnedFrames {
    private let words: ReservedTable

    init?(count: UInt64) {
        guard let words = try? ReservedTable(count: Int(count >> 6) + 1) else { return nil }
        self.words = words
    }

    func contains(_ pfn: PFN) -> Bool { words[Int(pfn.rawValue >> 6)] >> (pfn.rawValue & 63) & 1 == 1 }

    func overlaps(_ frames: Range<PFN>) -> Bool {
        var pfn = frames.lowerBound
        while pfn < frames.upperBound {
            if pfn.rawValue & 63 == 0, frames.upperBound.rawValue - pfn.rawValue >= 64 {
                if words[Int(pfn.rawValue >> 6)] != 0 { return true }
                pfn = pfn + 64
            } else {
                if contains(pfn) { return true }
                pfn = pfn + 1
            }
        }
        return false
    }

    /// Marks frames. False if one was marked already.
    mutating func insert(_ pfn: PFN, _ count: UInt64) -> Bool {
        if count >= 64 {
            var isNew = true
            for word in Int(pfn.rawValue >> 6)..<Int((pfn.rawValue + count) >> 6) {
                if words[word] != 0 { isNew = false }
                words.setUnnoted(word, to: ~0)
            }
            return isNew
        }
        var isNew = true
        for frame in pfn.rawValue..<pfn.rawValue + count {
            let bit = (1 as UInt64) << (frame & 63)
            if words[Int(frame >> 6)] & bit != 0 { isNew = false }
            words.setUnnoted(Int(frame >> 6), to: words[Int(frame >> 6)] | bit)
        }
        return isNew
    }
}
