// The comparison of a machine with its model: every frame of every slot, every nested mapping, the direct map.

import Machine
import Rampart
import ReferenceModel
import SNPArchitecture

@testable import Hypervisor

extension ModelledMachine {
    /// What the machine and the model disagree about, and which invariants are broken.
    func disagreements(limit: Int = 8) -> [String] {
        settle()
        var problems: [String] = []
        for slot in model.slots { compareSlot(slot, &problems, limit) }
        compareMappings(&problems, limit)
        problems += expectEqual(host.leaked.count, model.leakedPageCount, "leaked pages")
        problems += expectEqual(vm.causeOfDeath != nil, model.isDead, "the machine is dead")
        checkDirectMap(&problems, limit)
        problems += host.checkInvariants(of: [vm]).map(\.description)
        return Array(problems.prefix(limit))
    }

    private func compareSlot(_ slot: ModelSlot, _ problems: inout [String], _ limit: Int) {
        for run in vm.attributeRuns(in: slot.frames) {
            for gfn in run.range where problems.count < limit {
                if model.privateFrames.contains(gfn) != (run.attribute == .private) {
                    problems.append("frame \(gfn) has the attribute \(run.attribute)")
                }
                if slot.backing != nil { compareBacking(gfn, &problems) }
            }
        }
    }

    private func compareBacking(_ gfn: GFN, _ problems: inout [String]) {
        guard let place = model.place(of: gfn) else { return }
        let folio = files[place.file].folios.folio(at: place.index)
        guard folio?.order == model.folioOrder[place] else {
            problems.append(
                "frame \(gfn) has a folio of order \(folio.map { "\($0.order)" } ?? "none"), must be \(model.folioOrder[place].map { "\($0)" } ?? "none")"
            )
            return
        }
        guard let folio, let entry = emulated.machine.rmp.effectiveEntry(folio.pfn + (place.index - folio.index)) else {
            return
        }
        guard let owner = model.owned[place] else {
            if entry.assigned {
                problems.append("frame \(gfn) is assigned to \(entry.asid) at \(entry.gfn), must be the host's")
            }
            return
        }
        guard entry.assigned, entry.asid == vm.asid, entry.gfn == owner.gfn else {
            problems.append("frame \(gfn) is \(entry.state) of \(entry.asid) at \(entry.gfn), must be the guest's")
            return
        }
        if entry.pageSize != model.entrySize(of: place) {
            problems.append("frame \(gfn) is \(entry.pageSize) in the RMP, must be \(model.entrySize(of: place))")
        }
        if entry.validated != owner.validated { problems.append("frame \(gfn) validated \(entry.validated)") }
    }

    private func compareMappings(_ problems: inout [String], _ limit: Int) {
        var count = 0
        vm.nested.table.table.forEachLeaf { frame, mapping in
            count += Int(mapping.level.pageCount)
            for part in 0..<mapping.level.pageCount where problems.count < limit {
                let gfn = GFN(frame + part)
                guard let expected = model.mappings[gfn] else {
                    problems.append("frame \(gfn) is mapped \(mapping.level), must not be")
                    continue
                }
                if mapping.level.rmpSize != expected.size {
                    problems.append("frame \(gfn) is mapped \(mapping.level), must be \(expected.size)")
                }
                let backing = model.place(of: gfn).flatMap { files[$0.file].folios.frame(at: $0.index) }
                if (backing == mapping.pfn + part) != expected.isPrivate {
                    problems.append("frame \(gfn) maps frame \(mapping.pfn + part), private \(expected.isPrivate)")
                }
            }
        }
        problems += expectEqual(count, model.mappings.count, "mapped pages")
    }

    /// The host can write each of its own frames: no large mapping covers an assigned 4 KiB page. A region without assigned
    /// pages has its large mapping back.
    func checkDirectMap(_ problems: inout [String], _ limit: Int) {
        let rmp = emulated.machine.rmp
        var head = PFN(512)
        while head < rmp.tableFrames[0].lowerBound.aligned(down: .size2M), problems.count < limit {
            let first = rmp.entry(head)
            let isLarge = first.assigned && first.pageSize == .size2M
            let hasSmall = !isLarge && (first.assigned || first.subpageCount > 0)
            let level = host.directMap.level(of: head)
            if hasSmall, level != .level4K {
                problems.append("region \(head) has 4K pages and is mapped \(level.map(\.description) ?? "not")")
            }
            if !first.assigned, !hasSmall, level == .level4K {
                problems.append("region \(head) has no guest pages and is mapped 4K")
            }
            head = head + 512
        }
    }
}

extension EmulatedHost {
    /// How many 2 MiB regions the direct map maps with 4 KiB pages: each costs a frame for a table.
    var smallRegionCount: UInt64 {
        var count: UInt64 = 0
        for region in 0..<machine.memory.frameCount >> 9 where host.directMap.level(of: PFN(region << 9)) == .level4K {
            count += 1
        }
        return count
    }
}
