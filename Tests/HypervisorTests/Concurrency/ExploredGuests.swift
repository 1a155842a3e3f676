// Explored runs over guests: what holds at every schedule point is checked there, the rest at the end.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

/// One explored run.
final class ExploredRun {
    let explorer: Explorer
    let host: Host
    let guests: [TestGuest]
    /// Checked at the end of a completed run, in place of the invariants of living guests.
    var checkEnd: (() -> [String])?
    /// Pages whose mappings are looked at, at every schedule point.
    var watched: [UInt64] = [0, 100, 150, 511, 512, 700]

    init(seed: UInt64, _ guests: [TestGuest]) {
        explorer = Explorer(seed: seed, maximumSteps: 100_000)
        self.guests = guests
        host = guests[0].host
        explorer.onSchedulePoint = { [unowned self] point in
            // Nothing has changed since the point before.
            guard point != .lockAcquire, point != .yield else { return }
            if let problem = self.problemNow() { self.explorer.fail("at \(point): \(problem)") }
        }
    }

    /// Runs the threads. Returns what went wrong, if anything.
    func run() -> String? {
        let outcome = explorer.run()
        guard outcome == .completed else { return outcome.description }
        if let checkEnd {
            let problems = checkEnd()
            return problems.isEmpty ? nil : problems.prefix(4).joined(separator: "\n")
        }
        var problems = host.checkInvariants(of: guests.map(\.vm)).map(\.description)
        problems += guests.flatMap { guest in strayMappings(of: guest) }
        if let problem = problemNow() { problems.append(problem) }
        for region in 1..<guests[0].rmp.tableFrames[0].lowerBound.rawValue >> 9 {
            let first = guests[0].rmp.entry(PFN(region << 9))
            if !first.assigned, first.subpageCount == 0, host.directMap.level(of: PFN(region << 9)) == .level4K {
                problems.append("region \(PFN(region << 9)) has no guest pages and is mapped 4K")
            }
        }
        return problems.isEmpty ? nil : problems.prefix(4).joined(separator: "\n")
    }

    /// What must hold between any two steps: a mapping of guest memory leads to a frame that is the guest's, here; no mapping
    /// leads to a free frame; the host can write its own frames.
    private func problemNow() -> String? {
        let rmp = guests[0].rmp
        for guest in guests {
            for page in watched {
                let gfn = guest.base + page
                guard let mapping = guest.vm.nested.table.lookup(gfn) else { continue }
                let isBacking = guest.file.folios.frame(at: page) == mapping.pfn
                let entry = rmp.effectiveEntry(mapping.pfn)
                if isBacking, entry?.assigned != true || entry?.gfn != gfn {
                    return
                        "\(gfn) is mapped to \(mapping.pfn), which is not the guest's: \(entry.map { "\($0)" } ?? "")"
                }
                if !isBacking, entry?.assigned == true {
                    return "\(gfn) is mapped to \(mapping.pfn), somebody's private page"
                }
                if host.allocator.isFreeUnlocked(mapping.pfn) {
                    return "\(gfn) is mapped to the free frame \(mapping.pfn)"
                }
            }
        }
        for region in 1..<rmp.tableFrames[0].lowerBound.rawValue >> 9 {
            let first = rmp.entry(PFN(region << 9))
            let hasSmall = first.assigned ? first.pageSize == .size4K : first.subpageCount > 0
            if hasSmall, host.directMap.table.level(of: PFN(region << 9)) != .level4K {
                return "region \(PFN(region << 9)) has 4K pages of guests under a large host mapping"
            }
        }
        return nil
    }

    /// Mappings to frames that are neither the backing nor the VMM's page of the guest frame.
    private func strayMappings(of guest: TestGuest) -> [String] {
        var problems: [String] = []
        let user = guest.vm.memorySlots[0].userMemory
        guest.vm.nested.table.table.forEachLeaf { frame, mapping in
            for part in 0..<mapping.level.pageCount {
                let page = frame + part - guest.base.rawValue
                let pfn = mapping.pfn + part
                let isPrivate = guest.vm.attribute(of: GFN(frame + part)) == .private
                let expected = isPrivate ? guest.file.folios.frame(at: page) : try? user.frame(at: page)
                if expected != pfn {
                    problems.append(
                        "page \(page) is mapped to \(pfn), must be \(expected.map { "\($0)" } ?? "nothing")")
                }
            }
        }
        return problems
    }

    /// A virtual CPU that touches pages; faults go to the hypervisor, exits to the VMM end the access.
    func touch(_ name: String, _ guest: TestGuest, _ pages: [UInt64], rmpBit: Bool = false) {
        explorer.spawn(name) {
            for page in pages {
                let isPrivate = guest.vm.attribute(of: guest.base + page) == .private
                switch guest.fault(page, isPrivate: isPrivate, rmpBit: rmpBit && isPrivate) {
                case .resume, .memoryFault(_, _, _, .badAddress): break
                case let other: self.explorer.fail("a fault ends in \(other)")
                }
            }
        }
    }
}

/// Explores seeds until one fails.
func explore(_ seeds: Range<UInt64>, _ make: (UInt64) throws -> ExploredRun) throws {
    for seed in seeds {
        let run = try make(seed)
        if let problem = run.run() {
            Issue.record("seed \(seed), \(run.explorer.trace.count) picks: \(problem)")
            return
        }
    }
}
