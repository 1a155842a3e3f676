// Random programs of map, zap, split and collapse against a list of leaves.

import Machine
import SNPArchitecture
import Scheduling
import Testing

/// A page table as a list of leaves, each operation written the obvious way.
private struct LeafModel {
    struct Leaf: Equatable {
        var start: UInt64
        var level: PageLevel
        var pfn: UInt64
        var flags: PageFlags
        var end: UInt64 { start + level.pageCount }
    }
    var leaves: [Leaf] = []

    func leaf(at frame: UInt64) -> Leaf? { leaves.first { $0.start <= frame && frame < $0.end } }

    func lookup(_ frame: UInt64) -> PageMapping? {
        leaf(at: frame).map { PageMapping(pfn: PFN($0.pfn + frame - $0.start), level: $0.level, flags: $0.flags) }
    }

    mutating func map(_ new: Leaf) -> Bool {
        let inTheWay = leaves.filter { $0.start < new.end && new.start < $0.end }
        guard inTheWay.allSatisfy({ $0.start == new.start && $0.level == new.level }) else { return false }
        leaves.removeAll { $0.start == new.start }
        leaves.append(new)
        return true
    }

    mutating func zap(_ range: Range<UInt64>) -> Int {
        let before = leaves.count
        leaves.removeAll { $0.start < range.upperBound && range.lowerBound < $0.end }
        return before - leaves.count
    }

    mutating func split(_ frame: UInt64, to level: PageLevel) {
        while let old = leaf(at: frame), old.level > level {
            let smaller: PageLevel = old.level == .level1G ? .level2M : .level4K
            leaves.removeAll { $0 == old }
            for part in 0..<512 as Range<UInt64> {
                let offset = part * smaller.pageCount
                leaves.append(Leaf(start: old.start + offset, level: smaller, pfn: old.pfn + offset, flags: old.flags))
            }
        }
    }

    mutating func cut(at frame: UInt64) {
        while let old = leaf(at: frame), old.start != frame {
            split(frame, to: old.level == .level1G ? .level2M : .level4K)
        }
    }

    mutating func collapse(_ frame: UInt64, to level: PageLevel) -> Bool {
        if let old = leaf(at: frame), old.level >= level { return true }
        let start = frame & ~(level.pageCount - 1)
        let inside = leaves.filter { $0.start < start + level.pageCount && start < $0.end }
        guard let first = inside.first(where: { $0.start == start }), inside.count == 512,
            first.pfn % level.pageCount == 0,
            inside.allSatisfy({ $0.level.rawValue + 1 == level.rawValue && $0.flags == first.flags }),
            inside.allSatisfy({ $0.pfn - first.pfn == $0.start - start })
        else { return false }
        leaves.removeAll { $0.start >= start && $0.start < start + level.pageCount }
        leaves.append(Leaf(start: start, level: level, pfn: first.pfn, flags: first.flags))
        return true
    }
}

@Suite("Page table against a list of leaves")
struct PageTableModelTests {
    @Test("Random programs agree in results, translations, counts and frames used", arguments: UInt64(1)...12)
    func randomPrograms(seed: UInt64) throws {
        var random = EntropySource(seed: seed)
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        var model = LeafModel()
        // Frames around a 1 GiB boundary, so that all sizes fit and neighbours matter.
        let base = PageLevel.level1G.pageCount
        let places = (-3...4).map { UInt64(Int(base) + $0 * 512) }
        func frame() -> UInt64 {
            (places.randomElement(using: &random) ?? base) + UInt64.random(in: 0..<512, using: &random)
        }
        var kinds: [String: Int] = [:]
        for _ in 0..<250 {
            let at = frame()
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<40:
                let level: PageLevel =
                    [.level4K, .level4K, .level2M, .level2M, .level1G].randomElement(using: &random) ?? .level4K
                let start = at & ~(level.pageCount - 1)
                let flags: PageFlags = Bool.random(using: &random) ? .guest : .kernel
                let leaf = LeafModel.Leaf(start: start, level: level, pfn: start, flags: flags)
                let mapped = (try? table.map(start, to: PFN(start), level: level, flags: flags)) != nil
                #expect(mapped == model.map(leaf))
                kinds[mapped ? "map" : "occupied", default: 0] += 1
            case 40..<55:
                let range = at..<(at + UInt64.random(in: 0..<1500, using: &random))
                #expect(table.zap(range, freeingTables: Bool.random(using: &random)) == model.zap(range))
                kinds["zap", default: 0] += 1
            case 55..<70:
                let range = at..<(at + UInt64.random(in: 1..<900, using: &random))
                model.cut(at: range.lowerBound)
                model.cut(at: range.upperBound)
                #expect(try table.zapExactly(range) == model.zap(range))
                kinds["zap exactly", default: 0] += 1
            case 70..<85:
                let level: PageLevel = Bool.random(using: &random) ? .level4K : .level2M
                model.split(at, to: level)
                try table.split(at, to: level)
                kinds["split", default: 0] += 1
            case _:
                let level: PageLevel = Bool.random(using: &random) ? .level2M : .level1G
                let collapsed = table.collapse(at, to: level)
                #expect(collapsed == model.collapse(at, to: level))
                kinds[collapsed ? "collapse" : "no collapse", default: 0] += 1
            }
            for probe in [at, frame(), frame(), frame()] { #expect(table.lookup(probe) == model.lookup(probe)) }
            #expect(fixture.pages.out.count == table.tablePageCount)
        }
        #expect(kinds.count >= 6, "reached: \(kinds)")
        for leaf in model.leaves { #expect(table.lookup(leaf.start) == model.lookup(leaf.start)) }
        #expect(table.zap(0..<PageTable.frameCount, freeingTables: true) == model.leaves.count)
        #expect(table.tablePageCount == 1)
    }
}
