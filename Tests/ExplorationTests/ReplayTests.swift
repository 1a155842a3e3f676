// A token's run is the same each time, whatever other threads of the process do meanwhile, and so are its states.

import Hypervisor
import Scheduling
import Synchronization
import Testing

@testable import Exploration

@Suite("Replays")
struct ReplayTests {
    @Test(
        "A token replays to the same events each time, while other threads replay it, too",
        arguments: ["r1.slot-again.1.staleBinding.", "r1.fault-convert-eager.1.staleFaultMaps.JA"])
    func equal(text: String) throws {
        let token = try ReplayToken(text)
        let first = try Exploration.replay(token)
        #expect(first.problem != nil)
        let unlike = Counter()
        FreeThreads.run(
            (0..<3).map { _ in
                { @Sendable in
                    for _ in 0..<10 where (try? Exploration.replay(token)) != first { unlike.add() }
                }
            })
        #expect(unlike.value == 0)
    }

    @Test(
        "A state has one number in every world, wherever the system has put its memory",
        arguments: ["fault-convert-eager", "slot-again", "asid-again", "vmsa-punched-lazy"])
    func portableStates(name: String) throws {
        let scenario = try #require(Scenario.named(name))
        // Worlds that live on: the next one's memory lies elsewhere.
        var kept: [ScenarioRunner] = []
        /// The numbers of the states of one run, in order.
        func states() throws -> [UInt64] {
            let runner = ScenarioRunner(scenario, bug: nil)
            var seen: [UInt64] = []
            runner.observer = { world, _, _ in seen.append(world.stateHash) }
            _ = try runner.run(RandomSchedule(seed: 7))
            kept.append(runner)
            return seen
        }
        let first = try states()
        #expect(Set(first).count > 3)
        for _ in 0..<3 { #expect(try states() == first) }
    }

    @Test("Who looks at a world leaves no trace in it: checks between the points change no state")
    func quietChecks() throws {
        let scenario = try #require(Scenario.named("slot-again"))
        /// The changes that were noted at each point of a run.
        func changes(_ look: @escaping (World) -> Void) throws -> [UInt64] {
            let runner = ScenarioRunner(scenario, bug: nil)
            var counts: [UInt64] = []
            runner.observer = { world, _, _ in
                look(world)
                counts.append(world.log.changeCount)
            }
            _ = try runner.run(RandomSchedule(seed: 3))
            return counts
        }
        let looks = Counter()
        let often = try changes { world in
            for _ in 0..<3 where world.problem(.anywhere) == nil { looks.add() }
        }
        #expect(try changes { _ in } == often)
        #expect(looks.value == 3 * often.count)
    }
}

/// Counts on any thread.
private final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}
