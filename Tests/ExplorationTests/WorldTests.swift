// Worlds that are put back after a run are as good as fresh ones.

import Hypervisor
import Machine
import Scheduling
import Testing

@testable import Exploration

@Suite("Explored worlds")
struct WorldTests {
    /// What there is to see of a run.
    private struct Seen: Equatable {
        var problem: String?
        var trace: [UInt8]
        var steps: Int
    }

    private func seen(_ run: ScenarioRun) -> Seen {
        Seen(problem: run.problem?.description, trace: run.trace, steps: run.steps)
    }

    @Test(
        "A run in a world that was put back is the run in a fresh world, whatever ran before", arguments: Scenario.all)
    func restored(scenario: Scenario) throws {
        let kept = ScenarioRunner(scenario, bug: nil)
        for seed in 0..<3 as Range<UInt64> { _ = try kept.run(RandomSchedule(seed: 1000 + seed)) }
        for seed in 0..<2 as Range<UInt64> {
            let again = try kept.run(RandomSchedule(seed: seed))
            let fresh = try ScenarioRunner(scenario, bug: nil).run(RandomSchedule(seed: seed))
            #expect(seen(again) == seen(fresh))
            #expect(again.problem == nil)
        }
    }

    @Test("There are at least 30 scenarios, with names of their own that fit into a token")
    func names() {
        #expect(Scenario.all.count >= 30)
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count)
        for scenario in Scenario.all {
            #expect(
                scenario.name.utf8.allSatisfy { $0 >= 0x61 && $0 <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2d })
            #expect(!scenario.summary.isEmpty && !scenario.summary.hasSuffix("."))
        }
    }
}
