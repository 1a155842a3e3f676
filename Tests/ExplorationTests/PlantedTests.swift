// Deadlocks and locks out of order, planted in scenarios: exploration finds them, in words, and replays them.

import Hypervisor
import Scheduling
import Testing

@testable import Exploration

@Suite("Planted deadlocks and lock orders")
struct PlantedTests {
    /// A guest's machine and two threads over locks of their own. What `body` makes is made anew with each world.
    private func scenario(_ body: @escaping @Sendable (World) -> Void) -> Scenario {
        Scenario("planted", "a bug that a test has planted", in: .host) { world in
            let guest = try world.addGuest(pages: 2)
            try guest.allocate(0..<1)
            world.thread("VMM") { try guest.convert(0..<1, to: .private) }
            body(world)
        }
    }

    /// Explores depth first up to two preemptions: the first run that fails, and how many came before it.
    private func firstFailure(_ scenario: Scenario) throws -> (run: ScenarioRun, passed: Int)? {
        let runner = ScenarioRunner(scenario, bug: nil)
        let search = DepthFirstSearch(preemptionBound: 2)
        var passed = 0
        repeat {
            let run = try runner.run(search)
            if run.problem != nil { return (run, passed) }
            passed += 1
        } while passed < 3000 && search.advance()
        return nil
    }

    /// A thread waits for a flag; another sets it. With `looksUnderLock` false the look and the wait can be torn apart.
    private func handOver(looksUnderLock: Bool) -> Scenario {
        scenario { world in
            let lock = Lock(.slots, label: "of the test")
            let condition = Condition(lock)
            nonisolated(unsafe) var isSet = false
            world.atStart { isSet = false }
            world.thread("waiter") {
                if looksUnderLock {
                    lock.withLock { while !isSet { condition.wait() } }
                } else {
                    let found = lock.withLock { isSet }
                    if !found { lock.withLock { condition.wait() } }
                }
            }
            world.thread("setter") {
                lock.withLock {
                    isSet = true
                    condition.wakeAll()
                }
            }
        }
    }

    @Test("A wake-up that is lost between a look and a wait is a deadlock; the report names who waits, and it replays")
    func deadlock() throws {
        let planted = handOver(looksUnderLock: false)
        let found = try #require(try firstFailure(planted))
        #expect(found.passed > 0)
        let problem = try #require(found.run.problem?.description)
        #expect(problem == "deadlock: waiter waits for a condition under slots of the test")
        for _ in 0..<2 {
            let again = try ScenarioRunner(planted, bug: nil).run(ReplaySchedule(found.run.trace))
            #expect(again.problem?.description == problem && again.steps == found.run.steps)
        }
        #expect(try firstFailure(handOver(looksUnderLock: true)) == nil)
    }

    @Test("Locks in opposite orders are found in every schedule, also in those that do not deadlock")
    func order() throws {
        /// Two threads, one of which takes the allocator's lock first.
        func crossed(isWrong: Bool) -> Scenario {
            scenario { world in
                let (low, high) = (Lock(.slots), Lock(.allocator))
                world.thread("right") { low.withLock { high.withLock {} } }
                world.thread("wrong") {
                    if isWrong { high.withLock { low.withLock {} } } else { low.withLock { high.withLock {} } }
                }
            }
        }
        for seed in 0..<20 as Range<UInt64> {
            let run = try ScenarioRunner(crossed(isWrong: true), bug: nil).run(RandomSchedule(seed: seed))
            let problem = try #require(run.problem?.description)
            #expect(problem.hasPrefix("failed: lock order: wrong takes slots (order 200) while it holds allocator"))
        }
        #expect(try firstFailure(crossed(isWrong: false)) == nil)
    }

    @Test(
        "Every strategy finds a bug that needs one interruption, and its token replays",
        arguments: ExplorationStrategy.allCases)
    func strategies(strategy: ExplorationStrategy) throws {
        var settings = ExplorationSettings()
        settings.strategy = strategy
        settings.bug = KnownBug("staleFaultMaps")
        settings.budget = .schedules(5000)
        let scenario = try #require(Scenario.named("fault-convert-eager"))
        let failure = try #require(try Exploration.run(scenario, settings).failure)
        #expect(failure.problem.hasPrefix("invariant 1"))
        #expect(try Exploration.replay(ReplayToken(failure.token.description)).problem == failure.problem)
        settings.bug = nil
        settings.budget = .schedules(200)
        #expect(try Exploration.run(scenario, settings).failure == nil)
    }
}
