// Nothing is found in the code as it is; every known bug is found when it is switched on, and its token replays.

import Hypervisor
import Scheduling
import Testing

@testable import Exploration

@Suite("Exploration")
struct ExplorationTests {
    @Test("Nothing is found in the code as it is", arguments: Scenario.all)
    func nothing(scenario: Scenario) throws {
        var settings = ExplorationSettings()
        settings.budget = .schedules(150)
        let report = try Exploration.run(scenario, settings)
        #expect(report.failure?.problem == nil, "\(report.failure?.token.description ?? "")")
        #expect(report.schedules == 150 || report.isExhausted)
        #expect(report.points > 0 && report.states > 0)
    }

    @Test(
        "Each known bug is found, told in words, and replayed twice from its token", arguments: KnownBug.all.map(\.name)
    )
    func found(name: String) throws {
        let bug = try #require(KnownBug(name))
        let result = try Exploration.find(bug, schedules: 400)
        let failure = try #require(result.failure, "not found in \(result.schedules) schedules")
        #expect(result.isReplayed, "\(failure.token)")
        #expect(!failure.problem.isEmpty)
        #expect(failure.token.bug == bug)
        #expect(failure.token.description.count < 100)
    }
}
