// Plans of conversions over memory backed throughout: the machine ends where the plan's model says.

import Machine
import Rampart
import ReferenceModel
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Conversion plans")
struct PlanModelTests {
    private func compare(_ guest: TestGuest, _ model: PlanModel, _ what: String) {
        var (large, small): (UInt64, UInt64) = (0, 0)
        for page in 0..<guest.file.pageCount {
            let entry = guest.entry(page)
            let found = entry.assigned ? entry.pageSize : nil
            if found != model.entrySize(of: guest.base + page) {
                Issue.record("\(what): page \(page) is \(found.map(\.description) ?? "shared")")
                return
            }
            if found == .size4K { small += 1 }
            if found == .size2M, page % 512 == 0 { large += 1 }
        }
        #expect(model.largeEntryCount == large && model.smallEntryCount == small, "\(what)")
        #expect(model.privatePageCount == large * 512 + small)
        let runs = guest.vm.attributeRuns(in: guest.base..<(guest.base + guest.file.pageCount))
        #expect(runs.filter { $0.attribute == .private }.map(\.range) == model.privateRuns, "\(what)")
        #expect(guest.violations == [], "\(what)")
    }

    @Test("Random plans at 4K granularity, with folios of 2 MiB and smaller", arguments: [UInt8(9), 8, 0])
    func random(order: UInt8) throws {
        for seed in TestScale.seeds(6) {
            var entropy = EntropySource(seed: seed)
            let guest = try TestGuest(pages: 2048 + 128, folioOrder: order)
            try guest.allocate(0..<guest.file.pageCount)
            var model = PlanModel(memory: guest.base..<(guest.base + 2048), folioOrder: order)
            var plan: [String] = []
            for _ in 0..<12 {
                var low = UInt64.random(in: 0..<2048, using: &entropy)
                if Bool.random(using: &entropy) { low &= ~511 }
                let length =
                    [1, 512, 700, 1024, UInt64.random(in: 1..<512, using: &entropy)].randomElement(using: &entropy) ?? 1
                let pages = low..<min(low + length, 2048)
                let isPrivate = Int.random(in: 0..<5, using: &entropy) < 3
                plan.append("\(isPrivate ? "private" : "shared") \(pages)")
                try guest.convert(pages, to: isPrivate ? .private : .shared)
                model.convert((guest.base + pages.lowerBound)..<(guest.base + pages.upperBound), isPrivate: isPrivate)
            }
            compare(guest, model, "seed \(seed): " + plan.joined(separator: ", "))
        }
    }

    @Test("A plan over a TiB is judged in no time, and counts what it must")
    func terabyte() {
        var model = PlanModel(memory: GFN(0)..<GFN(1 << 28))
        model.convert(GFN(0)..<GFN(1 << 28), isPrivate: true)
        #expect(model.largeEntryCount == 1 << 19 && model.smallEntryCount == 0)
        model.convert(GFN(1000)..<GFN(1001), isPrivate: false)
        #expect(model.largeEntryCount == 1 << 19 - 1 && model.smallEntryCount == 511)
        #expect(model.privateRuns == [GFN(0)..<GFN(1000), GFN(1001)..<GFN(1 << 28)])
        model.convert(GFN(1000)..<GFN(1 << 40), isPrivate: true)
        #expect(model.smallEntryCount == 512 && model.entrySize(of: GFN(1000)) == .size4K)
        #expect(model.entrySize(of: GFN(1 << 28)) == nil)
        model.convert(GFN(512)..<GFN(1024), isPrivate: false)
        model.convert(GFN(512)..<GFN(1024), isPrivate: true)
        #expect(model.largeEntryCount == 1 << 19, "shared whole, it can be large again")
    }

    @Test("Memory that ends inside 2 MiB has 4K entries there")
    func end() {
        var model = PlanModel(memory: GFN(512)..<GFN(1500))
        model.convert(GFN(0)..<GFN(5000), isPrivate: true)
        #expect(model.largeEntryCount == 1 && model.smallEntryCount == 476)
        #expect(model.privateRuns == [GFN(512)..<GFN(1500)])
    }
}
