// The folios of a file against a dictionary from page to folio.

import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Folios")
struct FoliosTests {
    @Test("Random insertions, removals, splits and clearings: each page as in a dictionary, each walk in order")
    func random() throws {
        for seed in TestScale.seeds(20) {
            var entropy = EntropySource(seed: seed)
            let pageCount: UInt64 = 512 * 6 + 77
            let folios = try Folios(pageCount: pageCount)
            var model: [UInt64: Folio] = [:]
            for _ in 0..<150 {
                switch Int.random(in: 0..<10, using: &entropy) {
                case 0..<5:
                    let order = UInt8.random(in: 0...9, using: &entropy)
                    let size = UInt64(1) << UInt64(order)
                    let index = UInt64.random(in: 0..<pageCount / size, using: &entropy) * size
                    guard (index..<index + size).allSatisfy({ model[$0] == nil }) else { continue }
                    let pfn = PFN(UInt64.random(in: 1..<1 << 20, using: &entropy) * size)
                    let folio = Folio(index: index, pfn: pfn, order: order, isCleared: Bool.random(using: &entropy))
                    folios.insert(folio)
                    for page in index..<index + size { model[page] = folio }
                case 5..<7:
                    guard let folio = pick(model, &entropy) else { continue }
                    folios.remove(folio)
                    for page in folio.index..<folio.index + folio.pageCount { model[page] = nil }
                case 7:
                    guard var folio = pick(model, &entropy) else { continue }
                    folios.markCleared(folio)
                    folio.isCleared = true
                    for page in folio.index..<folio.index + folio.pageCount { model[page] = folio }
                case _:
                    guard let folio = pick(model, &entropy), folio.order > 0 else { continue }
                    let order = UInt8.random(in: 0..<folio.order, using: &entropy)
                    folios.split(folio, to: order)
                    for page in folio.index..<folio.index + folio.pageCount {
                        let index = page & ~(1 << UInt64(order) - 1)
                        model[page] = Folio(
                            index: index, pfn: folio.pfn + (index - folio.index), order: order,
                            isCleared: folio.isCleared)
                    }
                }
            }
            for page in 0..<pageCount where folios.folio(at: page) != model[page] {
                Issue.record("seed \(seed): page \(page) is \(String(describing: folios.folio(at: page)))")
                break
            }
            for page in 0..<pageCount {
                #expect(folios.frame(at: page) == model[page].map { $0.pfn + (page - $0.index) })
            }
            let low = UInt64.random(in: 0..<pageCount, using: &entropy)
            let range = low..<UInt64.random(in: low...pageCount, using: &entropy)
            var walked: [Folio] = []
            folios.forEach(in: range) { walked.append($0) }
            #expect(
                walked == Set(range.compactMap { model[$0] }).sorted { $0.index < $1.index }, "seed \(seed): \(range)")
        }
    }

    private func pick(_ model: [UInt64: Folio], _ entropy: inout EntropySource) -> Folio? {
        model.keys.sorted().randomElement(using: &entropy).flatMap { model[$0] }
    }

    @Test("A 1 GiB folio is found from each of its pages and splits into 2 MiB ones")
    func gigabyte() throws {
        let folios = try Folios(pageCount: 1 << 19)
        let folio = Folio(index: 1 << 18, pfn: PFN(5 << 18), order: 18, isCleared: true)
        folios.insert(folio)
        for page in [0, 1, 511, 512, 131_072, 262_143] as [UInt64] {
            #expect(folios.folio(at: 1 << 18 + page) == folio)
            #expect(folios.frame(at: 1 << 18 + page) == PFN(5 << 18 + page))
        }
        #expect(folios.folio(at: 1 << 18 - 1) == nil)
        folios.split(folio, to: 9)
        #expect(
            folios.folio(at: 1 << 18 + 700)
                == Folio(index: 1 << 18 + 512, pfn: PFN(5 << 18 + 512), order: 9, isCleared: true))
    }

    @Test("A walk may remove the folio it was given")
    func removalDuringWalk() throws {
        let folios = try Folios(pageCount: 2048)
        for order in [0, 3, 9, 8] as [UInt8] {
            let size = UInt64(1) << UInt64(order)
            let index: UInt64 = order == 9 ? 512 : order == 8 ? 1024 : size * 2
            folios.insert(Folio(index: index, pfn: PFN(size * 10), order: order, isCleared: false))
        }
        var orders: [UInt8] = []
        folios.forEach(in: 0..<2048) { folio in
            orders.append(folio.order)
            folios.remove(folio)
        }
        #expect(orders == [0, 3, 9, 8])
        folios.forEach(in: 0..<2048) { Issue.record("page \($0.index) is still there") }
    }
}
