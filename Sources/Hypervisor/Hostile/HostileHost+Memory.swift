// Attacks on memory, made while the host handles a request: frames taken away, exchanged, mapped twice; shared bytes changed.
//
// All RMP changes go through the same helpers as an honest host's, so that the host's own books stay right and what the guest
// meets is the RMP's doing alone.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension HostileHost {
    /// Attacks memory before a request is looked at.
    ///
    /// - Returns: true if the request is to be ignored
    func act(on machine: VirtualMachine, before cpu: VirtualCPU) -> Bool {
        withdraw(from: machine)
        for attack in [.unassign, .remap, .swapBack, .alias] as [HostileAttack] where wants(attack) {
            guard let victim = victim(of: attack, in: machine) else { continue }
            let before = PrivateView(of: victim.gfn, in: machine)
            let isDone =
                switch attack {
                case .remap: remap(victim, before?.contents(of: victim.gfn), machine)
                case .swapBack: swapBack(victim, before?.contents(of: victim.gfn), machine)
                case .alias: alias(victim, machine)
                default: unassign(victim, machine)
                }
            guard isDone else { continue }
            count(attack)
            if let before { compare(before, after: attack, victim.gfn, machine) }
        }
        if wants(.changeShared), changeShared(machine, sparing: cpu.ghcbState.registered) { count(.changeShared) }
        return strikes(.dropRequest)
    }

    /// Takes mappings to other pages' frames away, so that the host's books are right again.
    func withdraw(from machine: VirtualMachine) {
        for gfn in withState({ state in
            defer { state.aliased.removeAll() }
            return state.aliased.sorted()
        }) {
            machine.beginInvalidation(gfn..<gfn + 1)
            machine.endInvalidation(gfn..<gfn + 1)
        }
    }

    /// Gives frames back that no page has any more. The machine is being destroyed; nothing maps them.
    func release(for machine: VirtualMachine) {
        let kept = withState { state in
            defer { state.kept.removeAll() }
            return state.kept
        }
        for pfn in kept.values {
            machine.releaseFolio(Folio(index: 0, pfn: pfn, order: 0, isCleared: false))
        }
    }

    // MARK: Victims

    /// A private page whose frame is assigned.
    struct Victim {
        var gfn: GFN
        var slot: MemorySlot
        var file: GuestMemory
    }

    private func victim(of attack: HostileAttack, in machine: VirtualMachine) -> Victim? {
        var frames: [Range<GFN>]
        if attack == .swapBack {
            frames = withState { $0.kept.keys.sorted() }.map { $0..<$0 + 1 }
        } else {
            frames = machine.memorySlots.flatMap { slot in
                machine.attributeRuns(in: slot.frames).filter { $0.attribute == .private }.map(\.range)
            }
        }
        if let target = hostility.target {
            frames = frames.contains { $0.contains(target) } ? [target..<target + 1] : []
        }
        let total = frames.reduce(0) { $0 + UInt64($1.count) }
        guard total > 0 else { return nil }
        // A few tries: what is private need not be backed yet.
        for _ in 0..<16 {
            var index = draw(below: total)
            guard
                let range = frames.first(where: { range in
                    if index < UInt64(range.count) { return true }
                    index -= UInt64(range.count)
                    return false
                })
            else { return nil }
            let gfn = range.lowerBound + index
            guard let slot = machine.memorySlots.first(where: { $0.frames.contains(gfn) }), let file = slot.guestMemory,
                let pfn = machine.backing.withLock({ file.folios.frame(at: slot.guestIndex(of: gfn)) }),
                machine.host.rmp.lookup(pfn)?.assigned == true
            else { continue }
            return Victim(gfn: gfn, slot: slot, file: file)
        }
        return nil
    }

    // MARK: Attacks

    private func unassign(_ victim: Victim, _ machine: VirtualMachine) -> Bool {
        let offset = victim.slot.guestIndex(of: victim.gfn) << 12
        return (try? machine.punchHole(victim.file, offset: offset, byteCount: 4096)) != nil && machine.isAlive
    }

    private func remap(_ victim: Victim, _ contents: [UInt8]?, _ machine: VirtualMachine) -> Bool {
        guard withState({ $0.kept[victim.gfn] }) == nil else { return false }
        guard let old = machine.substitute(victim, by: nil) else { return false }
        withState { state in
            state.kept[victim.gfn] = old
            state.contents[victim.gfn] = contents
        }
        return true
    }

    private func swapBack(_ victim: Victim, _ contents: [UInt8]?, _ machine: VirtualMachine) -> Bool {
        guard let first = withState({ $0.kept[victim.gfn] }),
            let second = machine.substitute(victim, by: first)
        else { return false }
        withState { state in
            state.kept[victim.gfn] = second
            // What the guest has last seen there; a page that it cannot read leaves it at what it saw before.
            if let contents { state.contents[victim.gfn] = contents }
        }
        return true
    }

    private func alias(_ victim: Victim, _ machine: VirtualMachine) -> Bool {
        let other = machine.backing.withLock {
            let folios = victim.file.folios
            let index = victim.slot.guestIndex(of: victim.gfn)
            return folios.frame(at: index ^ 1) ?? folios.frame(at: index ^ 2)
        }
        guard let other else { return false }
        machine.beginInvalidation(victim.gfn..<victim.gfn + 1)
        let isMapped = machine.nested.lock.withLock {
            (try? machine.nested.map(victim.gfn, other, .level4K)) != nil
        }
        machine.endInvalidation(victim.gfn..<victim.gfn + 1)
        withState { _ = $0.aliased.insert(victim.gfn) }
        return isMapped
    }

    /// Turns eight bytes of a shared page around: one that the guest or its host has used.
    private func changeShared(_ machine: VirtualMachine, sparing ghcb: GFN?) -> Bool {
        let page: MappedPage
        if let target = hostility.target {
            guard let found = machine.mapShared(target) else { return false }
            page = found
        } else {
            var pages: [MappedPage] = []
            for slot in machine.memorySlots {
                slot.userMemory.forEachFolio { folio in
                    guard folio.index >= slot.userIndex, folio.index - slot.userIndex < UInt64(slot.frames.count),
                        slot.frames.lowerBound + (folio.index - slot.userIndex) != ghcb
                    else { return }
                    pages.append(MappedPage(memory: slot.userMemory, offset: folio.index << 12))
                }
            }
            guard !pages.isEmpty else { return false }
            page = pages[Int(draw(below: UInt64(pages.count)))]
        }
        let place = hostility.target == nil ? Int(draw(below: 512)) * 8 : 0
        guard let bytes = try? page.read() else { return false }
        page.store(bytes[place..<place + 8].map { ~$0 }, at: place)
        return true
    }

    // MARK: The proof

    private func compare(_ before: PrivateView, after attack: HostileAttack, _ gfn: GFN, _ machine: VirtualMachine) {
        var found = before.corruptions(in: machine)
        if attack == .swapBack, before.contents(of: gfn) == nil, let last = withState({ $0.contents[gfn] }) {
            // The page that comes back must be the one that the guest has seen there.
            if let now = PrivateView(of: gfn, in: machine)?.contents(of: gfn), now != last {
                found.append("guest frame \(gfn) came back with other contents than the guest left there")
            }
        }
        withState { state in
            state.record.comparedPageCount += UInt64(before.pageCount)
            state.record.corruptions += found.map { "\(attack.rawValue): \($0)" }
        }
    }
}

extension VirtualMachine {
    /// Puts another frame under a private page: a fresh one that the guest has never seen, or one that it knows. The frame
    /// that was there stays assigned. Returns it, or nil if nothing has changed.
    fileprivate func substitute(_ victim: HostileHost.Victim, by known: PFN?) -> PFN? {
        guard isAlive, let asid else { return nil }
        let frames = victim.gfn..<victim.gfn + 1
        let index = victim.slot.guestIndex(of: victim.gfn)
        var counts = ConversionCounts()
        defer { record(counts) }
        slotsLock.lock()
        defer { slotsLock.unlock() }
        beginInvalidation(frames)
        defer { endInvalidation(frames) }
        return backing.withLock { () -> PFN? in
            guard let folio = victim.file.folios.folio(at: index), attributes.attribute(of: victim.gfn) == .private
            else { return nil }
            let old = folio.pfn + (index - folio.index)
            guard let entry = host.rmp.lookup(old), entry.assigned else { return nil }
            if entry.pageSize == .size2M {
                guard let splits = try? host.directMap.claimSmallPages(around: old) else { return nil }
                counts.directMapSplits &+= splits
                defer { counts.directMapCollapses &+= host.directMap.release(around: old, host.rmp) }
                guard (try? host.rmp.smash(old, counts: &counts.rmp)) != nil else { return nil }
            }
            guard let new = known ?? assignFresh(victim.gfn, asid, &counts) else { return nil }
            if folio.order > 0 { victim.file.folios.split(folio, to: 0) }
            if let single = victim.file.folios.folio(at: index) { victim.file.folios.remove(single) }
            victim.file.folios.insert(Folio(index: index, pfn: new, order: 0, isCleared: true))
            return old
        }
    }

    /// A cleared frame, assigned to the guest at an address.
    private func assignFresh(_ gfn: GFN, _ asid: ASID, _ counts: inout ConversionCounts) -> PFN? {
        guard let block = host.allocator.allocate(order: 0) else { return nil }
        if !block.isFresh { host.clearFrame(block.pfn) }
        guard let splits = try? host.directMap.claimSmallPages(around: block.pfn) else {
            host.allocator.free(block.pfn, order: 0)
            return nil
        }
        counts.directMapSplits &+= splits
        defer { counts.directMapCollapses &+= host.directMap.release(around: block.pfn, host.rmp) }
        do throws(RMPStatus) {
            try host.rmp.makePrivate(block.pfn, .size4K, gfn: gfn, asid: asid, counts: &counts.rmp)
        } catch {
            host.allocator.free(block.pfn, order: 0)
            return nil
        }
        return block.pfn
    }
}
