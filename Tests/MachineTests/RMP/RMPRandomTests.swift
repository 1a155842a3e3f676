// Random RMP instructions against the frame-by-frame model, and against a recount of every counter.

import Machine
import SNPArchitecture
import Scheduling
import Testing

@Suite("RMP instructions against a model")
struct RMPRandomTests {
    @Test("Each status, each entry, each counter, after every instruction of a random program")
    func random() throws {
        for seed in UInt64(1)...15 {
            var entropy = EntropySource(seed: seed)
            let fixture = try RMPFixture()
            var model = RMPModel()
            var program: [String] = []
            for _ in 0..<80 {
                let region = 512 * UInt64.random(in: 1..<3, using: &entropy)
                let size: PageSize = Bool.random(using: &entropy) ? .size2M : .size4K
                let isHead = size == .size2M && Int.random(in: 0..<8, using: &entropy) > 0
                let anywhere =
                    [0, 1, 511, UInt64.random(in: 0..<512, using: &entropy)].randomElement(using: &entropy) ?? 0
                let pfn = isHead ? region : region + anywhere
                let asid = UInt32.random(in: 4..<6, using: &entropy)
                let gfn = (1 << 20) + (Int.random(in: 0..<5, using: &entropy) == 0 ? pfn + 1 : pfn)
                let what: String
                let (found, expected): (String, String)
                switch Int.random(in: 0..<10, using: &entropy) {
                case 0..<4:
                    let state = RMPUpdateState.guest(
                        ASID(asid), at: GPA(gfn << 12), size, immutable: Int.random(in: 0..<40, using: &entropy) == 0)
                    what = "RMPUPDATE \(pfn) \(state)"
                    (found, expected) = ("\(fixture.update(pfn, state) as Any)", "\(model.update(pfn, state) as Any)")
                case 4..<6:
                    what = "RMPUPDATE \(pfn) shared \(size)"
                    (found, expected) = (
                        "\(fixture.update(pfn, .shared(size)) as Any)", "\(model.update(pfn, .shared(size)) as Any)"
                    )
                case 6 where Bool.random(using: &entropy):
                    // The whole region back to the host, so that 2M pages have a chance again.
                    what = "share all of \(region)"
                    let pages =
                        model.large.contains(region) ? [] : (region..<region + 512).filter { model.pages[$0] != nil }
                    let all = pages.map { ($0, PageSize.size4K) } + (pages.isEmpty ? [(region, .size2M)] : [])
                    (found, expected) = (
                        "\(all.map { fixture.update($0.0, .shared($0.1)) })",
                        "\(all.map { model.update($0.0, .shared($0.1)) })"
                    )
                case 6:
                    let head = Int.random(in: 0..<5, using: &entropy) == 0 ? pfn : region
                    what = "PSMASH \(head)"
                    (found, expected) = ("\(fixture.smash(head) as Any)", "\(model.smash(head) as Any)")
                case _:
                    let value = Int.random(in: 0..<4, using: &entropy) > 0
                    let level: PageLevel = size == .size2M ? .level2M : .level4K
                    let at = Int.random(in: 0..<6, using: &entropy) == 0 ? gfn : model.pages[pfn]?.gfn ?? gfn
                    what = "PVALIDATE \(pfn) \(size) gfn \(at) asid \(asid) \(value)"
                    found = "\(fixture.validate(pfn, size, level: level, gfn: at, asid: asid, to: value))"
                    expected = "\(model.validate(pfn, size, gfn: at, asid: asid, to: value))"
                }
                program.append(what)
                #expect(found == expected, "seed \(seed): \(program)")
                let wrong = disagreements(fixture, model)
                #expect(wrong == [], "seed \(seed): \(program)")
                if found != expected || wrong != [] { return }
            }
        }
    }

    private func disagreements(_ fixture: RMPFixture, _ model: RMPModel) -> [String] {
        var problems = fixture.rmp.findViolations()
        for pfn in 512..<2048 as Range<UInt64> where problems.count < 3 {
            let entry = fixture.entry(pfn)
            guard let page = model.pages[pfn] else {
                if entry.assigned { problems.append("frame \(pfn) is assigned") }
                continue
            }
            let found = RMPModel.Page(
                asid: entry.asid.rawValue, gfn: entry.gfn.rawValue, immutable: entry.immutable,
                validated: entry.validated)
            if found != page || !entry.assigned { problems.append("frame \(pfn) is \(found), must be \(page)") }
            let size: PageSize = model.large.contains(pfn / 512 * 512) ? .size2M : .size4K
            if entry.pageSize != size { problems.append("frame \(pfn) is \(entry.pageSize)") }
        }
        for asid in [4, 5] as [UInt32] {
            let count = model.pages.values.filter { $0.asid == asid }.count
            if fixture.rmp.assignedPageCount(of: ASID(asid)) != UInt64(count) {
                problems.append("the counter of ASID \(asid)")
            }
        }
        return problems
    }
}
