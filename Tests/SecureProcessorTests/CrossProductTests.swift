// The whole product: each command, each of its pages, 13 states, two sizes, six conditions of the guest.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Commands by page state, page size and guest state")
struct CrossProductTests {
    static let rules = CrossProductRule.all.compactMap { $0 }

    @Test("every row can be read, names an operand of the other table, and leads to states that exist")
    func tableIsComplete() {
        #expect(Self.rules.count == CrossProductRule.all.count && Self.rules.count >= 58)
        #expect(ProductPoint.all.count == (12 * 2 + 1) * 6)
        let operands = Set(Self.rules.map { $0.command + " " + $0.operand })
        // Neither a guest nor the size of an entry matters to legacy buffers and to the IOMMU's pages.
        for row in PageStateTests.rows where !row.command.hasPrefix("SEV_") && row.operand != "iommu" {
            #expect(operands.contains(row.testDescription), "\(row.testDescription)")
        }
        for rule in Self.rules {
            let accepted = Set(
                ProductPoint.all.filter { rule.refusal($0) == nil }.map(\.abbreviation))
            #expect(accepted == Set(rule.after.keys), "\(rule.testDescription)")
        }
    }

    @Test("the status is that of the first check that does not hold, and the next state the table's", arguments: rules)
    func product(_ rule: CrossProductRule) throws {
        for guest in GuestCondition.allCases {
            var scenario: CrossProductScenario?
            for point in ProductPoint.all where point.guest == guest {
                let current = try scenario ?? CrossProductScenario(rule)
                if scenario == nil { current.set(guest) }
                scenario = try check(rule, point, current) ? current : nil
            }
        }
    }

    /// Whether the scenario can be used again: nothing in it has changed.
    private func check(
        _ rule: CrossProductRule, _ point: ProductPoint, _ current: CrossProductScenario
    ) throws -> Bool {
        let platform = current.scenario.platform
        defer { SpecCoverage.hit("firmware-cross-product.tsv", rule.row, accepted: rule.refusal(point) == nil) }
        let restore = current.place(point.state, point.size)
        let expected = rule.refusal(point)
        let before = (generations: current.generations, snapshot: expected == nil ? nil : platform.snapshot())
        let entries = expected == nil ? current.entries : []
        let status = current.scenario.run()
        #expect(status == expected ?? .success, "\(rule.testDescription): \(point)")
        if expected != nil {
            #expect(current.generations == before.generations, "\(rule.testDescription): \(point)")
            #expect(platform.snapshot() == before.snapshot, "\(rule.testDescription): \(point)")
            restore()
            return status != .success
        }
        let after = PageStateTests.abbreviations[
            PageStateTests.states.firstIndex(of: current.state(point)) ?? 0]
        #expect(after == rule.after[point.abbreviation], "\(rule.testDescription): \(point)")
        let mayChange = Set(current.mayChange.map { Int($0.rawValue) - 0x800 })
        for (index, pair) in zip(entries, current.entries).enumerated() where pair.0 != pair.1 {
            #expect(mayChange.contains(index), "\(rule.testDescription): \(point), frame \(index + 0x800)")
        }
        return false
    }
}
