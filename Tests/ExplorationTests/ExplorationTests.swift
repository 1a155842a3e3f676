// Nothing is found in the code as it is; failures are made simple; searches end, divide and go on.

import Hypervisor
import Scheduling
import Testing

@testable import Exploration

@Suite("Exploration")
struct ExplorationTests {
    @Test("Nothing is found in the code as it is", arguments: Scenario.all)
    func nothing(scenario: Scenario) throws {
        var settings = ExplorationSettings()
        settings.budget = .schedules(30)
        let report = try Exploration.run(scenario, settings)
        #expect(report.failure?.problem == nil, "\(report.failure?.token.description ?? "")")
        #expect(report.schedules == 30 || report.isExhausted)
        #expect(report.points > 0 && report.states > 0)
    }

    @Test("The world after a failure is rebuilt, and the schedule that is shown has few interruptions")
    func minimal() throws {
        var settings = ExplorationSettings()
        settings.bug = KnownBug("staleFaultMaps")
        settings.strategy = .random
        settings.budget = .schedules(3000)
        for name in ["fault-convert-eager", "fault-convert-lazy"] {
            let scenario = try #require(Scenario.named(name))
            let failure = try #require(Exploration.run(scenario, settings).failure)
            #expect(failure.token.schedule.count { $0 != 0 } <= 3)
            #expect(failure.lastWriter?.contains("the RMP entry of frame") == true)
            #expect(failure.timeline.contains { $0.text.contains("mapped to its private frame") })
        }
    }

    @Test("Depth first comes to an end, shards divide its schedules, and it goes on where it stopped")
    func exhaustive() throws {
        let scenario = try #require(Scenario.named("launch-twice-eager"))
        var settings = ExplorationSettings()
        settings.strategy = .dfs
        settings.preemptionBound = 1
        settings.prunes = false
        let whole = try Exploration.run(scenario, settings)
        #expect(whole.isExhausted && whole.failure?.problem == nil && whole.schedules > 20)
        var sum: UInt64 = 0
        for index in 0..<3 {
            settings.shard = (index, 3)
            sum += try Exploration.run(scenario, settings).schedules
        }
        #expect(sum == whole.schedules)
        settings.shard = nil
        settings.budget = .schedules(10)
        var position = ExplorationPosition()
        var parts: UInt64 = 0
        while position.search != nil {
            let part = try Exploration.run(scenario, settings, from: position)
            parts += part.schedules
            position = part.position
        }
        #expect(parts == whole.schedules)
    }

    @Test("Depth first ends although two threads only try again until a third has gone on")
    func waiters() throws {
        let scenario = Scenario("waiters", "two threads wait for an attribute", in: .conversion) { world in
            let guest = try world.addGuest(pages: 2)
            try guest.allocate(0..<1)
            world.thread("VMM") { try guest.convert(0..<1, to: .private) }
            for number in 0..<2 {
                world.thread("waiter \(number)") { while !guest.isPrivate(0) { schedulePoint(.yield) } }
            }
        }
        for bound in 0...1 {
            var settings = ExplorationSettings()
            settings.strategy = .dfs
            settings.preemptionBound = bound
            settings.budget = .schedules(20_000)
            let whole = try Exploration.run(scenario, settings)
            #expect(whole.isExhausted && whole.failure?.problem == nil && whole.schedules > 3)
        }
    }

    @Test("Depth first ends where faults try again while attributes toggle, and finds the bug there, too")
    func triesAgain() throws {
        let scenario = try #require(Scenario.named("fault-toggle-eager"))
        var settings = ExplorationSettings()
        settings.strategy = .dfs
        settings.preemptionBound = 0
        settings.budget = .schedules(200)
        let whole = try Exploration.run(scenario, settings)
        #expect(whole.isExhausted && whole.failure?.problem == nil && whole.schedules > 5)
        settings.bug = KnownBug("staleFaultMaps")
        settings.preemptionBound = 1
        let failure = try #require(Exploration.run(scenario, settings).failure)
        #expect(failure.problem.contains("mapped"))
        #expect(try Exploration.replay(failure.token).problem == failure.problem)
    }

    @Test("Shards see between them the states that one process sees, though one of them stops again and again")
    func shardStates() throws {
        let scenario = try #require(Scenario.named("two-converters"))
        var settings = ExplorationSettings()
        settings.strategy = .dfs
        settings.preemptionBound = 1
        let whole = try Exploration.run(scenario, settings)
        #expect(whole.isExhausted && whole.states > 20)
        var joined: Set<UInt64> = []
        for index in 0..<3 {
            settings.shard = (index, 3)
            settings.budget = .schedules(index == 1 ? 16 : 10_000)
            var kept = ExplorationState(scenario, settings)
            while kept.position.search != nil {
                kept.add(try Exploration.run(scenario, settings, from: kept.position))
                kept = try #require(ExplorationState(kept.text))
            }
            joined.formUnion(kept.states)
        }
        #expect(joined == whole.distinctStates)
        #expect(ExplorationState.digest(of: joined) == ExplorationState.digest(of: whole.distinctStates))
        joined.removeFirst()
        #expect(ExplorationState.digest(of: joined) != ExplorationState.digest(of: whole.distinctStates))
    }

    @Test("Threads see between them the states that one thread sees", arguments: [1, 2, 3])
    func threads(count: Int) throws {
        let scenario = try #require(Scenario.named("two-converters"))
        var settings = ExplorationSettings()
        settings.strategy = .dfs
        settings.preemptionBound = 1
        let whole = try Exploration.run(scenario, settings)
        let shards = Exploration.split(settings, among: count)
        let reports = try Exploration.run(
            scenario, shards: shards, from: shards.map { _ in ExplorationPosition() })
        let joined = ExplorationReport(joining: reports)
        #expect(reports.count == count && joined.isExhausted && whole.isExhausted && !joined.isInterrupted)
        #expect(joined.distinctStates == whole.distinctStates)
        if count > 1 { #expect(reports.contains { $0.states < whole.states }) }
    }

    @Test("What one thread finds stops the others, and so does a wish to stop")
    func stoppedThreads() throws {
        let scenario = try #require(Scenario.named("fault-convert-eager"))
        var settings = ExplorationSettings()
        settings.strategy = .random
        settings.budget = .schedules(.max)
        let shards = Exploration.split(settings, among: 3)
        let start = shards.map { _ in ExplorationPosition() }
        let stopped = ExplorationReport(
            joining: try Exploration.run(
                scenario, shards: shards, from: start, progress: { $0.schedules < 600 }))
        #expect(stopped.isInterrupted && stopped.failure == nil && stopped.schedules >= 600)
        settings.bug = KnownBug("staleFaultMaps")
        let found = ExplorationReport(
            joining: try Exploration.run(
                scenario, shards: Exploration.split(settings, among: 3), from: start))
        #expect(found.failure != nil && !found.isInterrupted)
    }

    @Test("Threads divide a budget and a shard without loss")
    func divided() {
        var settings = ExplorationSettings()
        settings.budget = .schedules(11)
        settings.shard = (1, 2)
        let parts = Exploration.split(settings, among: 3)
        #expect(parts.map(\.budget) == [.schedules(4), .schedules(4), .schedules(3)])
        #expect(parts.map { $0.shard?.index } == [1, 3, 5] && parts.allSatisfy { $0.shard?.count == 6 })
    }

    @Test("The state of an exploration is the same after it was written and read")
    func state() throws {
        let scenario = try #require(Scenario.named("init"))
        var state = ExplorationState(scenario, ExplorationSettings())
        state.schedules = 12
        state.tokens = ["r1.init.1.none.A"]
        state.states = [0, 1, .max, 0x1234_5678_9abc_def0]
        state.position.search = "1,2,0,1;0,2,1,1"
        #expect(ExplorationState(state.text) == state)
        #expect(ExplorationState("nonsense") == nil)
        #expect(ExplorationState(state.text.replacing("states 4", with: "states 5")) == nil)
    }
}
