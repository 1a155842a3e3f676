// Strategies on programs whose schedules can be counted by hand.

import Scheduling
import Testing

@Suite("Schedule strategies")
struct StrategyTests {
    /// The orders in which `threads` of so many segments each can run, by number of preemptions: counted without a scheduler.
    private func orders(_ threads: Int, segments: Int, bound: Int?) -> Int {
        func count(_ left: [Int], _ current: Int?, _ spent: Int) -> Int {
            guard left.contains(where: { $0 > 0 }) else { return 1 }
            var sum = 0
            for thread in left.indices where left[thread] > 0 {
                let isPreemption = current.map { $0 != thread && left[$0] > 0 } ?? false
                let spent = spent + (isPreemption ? 1 : 0)
                guard spent <= bound ?? .max else { continue }
                var left = left
                left[thread] -= 1
                sum += count(left, thread, spent)
            }
            return sum
        }
        return count(Array(repeating: segments, count: threads), nil, 0)
    }

    @Test(
        "Depth first makes every schedule once: as many as there are orders of the segments",
        arguments: [(2, 1), (2, 2), (2, 4), (3, 1), (3, 2)])
    func everySchedule(threads: Int, points: Int) {
        for bound in [nil, 0, 1, 2, 3] as [Int?] {
            let search = DepthFirstSearch(preemptionBound: bound)
            var traces: Set<[UInt8]> = []
            var runs = 0
            repeat {
                let program = TinyProgram(search, TinyProgram.walkers(threads, points: points))
                #expect(program.run() == nil)
                traces.insert(program.explorer.trace)
                runs += 1
            } while search.advance()
            #expect(runs == orders(threads, segments: points + 1, bound: bound), "bound \(bound ?? -1)")
            #expect(traces.count == runs)
        }
        #expect(orders(2, segments: 3, bound: nil) == 20)
        #expect(orders(2, segments: 3, bound: 1) == 6)
    }

    @Test("A lost update: 6 schedules, 4 of them lose it, none without a preemption")
    func lostUpdate() {
        let all = enumerate(DepthFirstSearch(preemptionBound: nil), TinyProgram.lostUpdate)
        #expect(all.count == 6)
        #expect(all.failures.count == 4)
        let calm = enumerate(DepthFirstSearch(preemptionBound: 0), TinyProgram.lostUpdate)
        #expect(calm.count == 2)
        #expect(calm.failures.isEmpty)
    }

    @Test("Crossed locks deadlock, with one preemption and not with none")
    func deadlock() throws {
        #expect(enumerate(DepthFirstSearch(preemptionBound: 0), TinyProgram.crossedLocks).failures.isEmpty)
        let one = enumerate(DepthFirstSearch(preemptionBound: 1), TinyProgram.crossedLocks)
        let found = try #require(one.failures.first)
        #expect(found.problem.hasPrefix("deadlock: "))
        #expect(found.problem.contains("ab waits for the lock allocator held by ba"))
    }

    @Test("A lost wake-up ends in a deadlock that names the waiter")
    func lostWakeUp() throws {
        let one = enumerate(DepthFirstSearch(preemptionBound: 1), TinyProgram.lostWakeUp)
        let found = try #require(one.failures.first)
        #expect(found.problem == "deadlock: waiter waits for a condition under slots")
        #expect(one.failures.count < one.count)
    }

    @Test("Shards make every schedule exactly once between them", arguments: [2, 3, 5])
    func shards(count: Int) {
        let fill = TinyProgram.walkers(2, points: 5)
        let whole = enumerate(DepthFirstSearch(preemptionBound: 3), fill).count
        let parts = (0..<count).map { index in
            enumerate(DepthFirstSearch(preemptionBound: 3, shard: (index, count)), fill).count
        }
        #expect(parts.reduce(0, +) == whole)
        #expect(parts.allSatisfy { $0 < whole })
    }

    @Test("A state seen before is not explored again, unless more preemptions are left now")
    func pruning() {
        let fill = TinyProgram.walkers(2, points: 4)
        let whole = enumerate(DepthFirstSearch(preemptionBound: nil), fill).count
        let search = DepthFirstSearch(preemptionBound: nil)
        var positions: [Int: Int] = [:]
        var runs = 0
        repeat {
            positions = [:]
            let program = TinyProgram(search, fill)
            program.explorer.onSchedulePoint = { [unowned program] _ in
                positions[program.explorer.currentThread, default: 0] += 1
            }
            search.stateKey = { [unowned program] in
                UInt64(positions[0] ?? 0) << 32 | UInt64(positions[1] ?? 0) << 16
                    | UInt64(program.explorer.currentThread)
            }
            #expect(program.run() == nil)
            runs += 1
        } while search.advance()
        #expect(search.prunedCount > 0)
        // The states are the pairs of positions with the thread that ran last: fewer than the paths through them.
        #expect(runs < whole / 2, "\(runs) of \(whole)")
    }

    @Test("PCT finds a bug that needs three events in order more often than even picks do")
    func priorities() {
        func finds(_ make: (UInt64) -> any ScheduleStrategy) -> Int {
            (0..<400 as Range<UInt64>).count { TinyProgram(make($0), TinyProgram.deepBug).run() != nil }
        }
        let pct = finds { PCTSchedule(seed: $0, depth: 3, length: 30) }
        let again = finds { PCTSchedule(seed: $0, depth: 3, length: 30) }
        let even = finds { RandomSchedule(seed: $0) }
        #expect(pct == again)
        #expect(pct > 10)
        #expect(pct > 10 * even, "PCT \(pct), even picks \(even)")
        #expect(finds { PCTSchedule(seed: $0, depth: 1, length: 30) } == 0, "no change of priority, no bug")
    }

    @Test("PCT gets past a thread that spins until another has run")
    func spinning() {
        for seed in 0..<50 as Range<UInt64> {
            let program = TinyProgram(PCTSchedule(seed: seed, depth: 2, length: 10)) { program in
                program.explorer.spawn("spins") { while program.value == 0 { schedulePoint(.yield) } }
                program.explorer.spawn("sets") { program.value = 1 }
            }
            #expect(program.run() == nil)
        }
    }

    @Test("Threads that are kept run again after a rewind, the same way for the same seed")
    func rewind() {
        let program = TinyProgram(RandomSchedule(seed: 0), TinyProgram.lostUpdate)
        program.explorer.keepsThreads = true
        var traces: [[UInt8]] = []
        for round in 0..<40 as Range<UInt64> {
            if round > 0 { program.explorer.rewind(RandomSchedule(seed: round % 20)) }
            program.value = 0
            _ = program.run()
            traces.append(program.explorer.trace)
        }
        #expect(Array(traces[..<20]) == Array(traces[20...]))
        #expect(Set(traces).count > 3)
    }
}
