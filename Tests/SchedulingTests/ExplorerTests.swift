// Schedules: the same seed repeats, different seeds differ, and races, deadlocks and wrong lock orders are found.

import CPlatform
import Scheduling
import Testing

/// Two threads that add to a counter in two steps with a schedule point between: a lost update if nothing guards it.
private final class Counter {
    var value = 0
    func addInTwoSteps(guardedBy lock: Lock?) {
        lock?.lock()
        let read = value
        schedulePoint(.yield)
        value = read + 1
        lock?.unlock()
    }
}

private func runCounter(_ explorer: Explorer, guarded: Bool, rounds: Int = 3) -> (ExplorationOutcome, Int) {
    let counter = Counter()
    let lock = guarded ? Lock(.slots) : nil
    for name in ["a", "b", "c"] {
        explorer.spawn(name) { for _ in 0..<rounds { counter.addInTwoSteps(guardedBy: lock) } }
    }
    return (explorer.run(), counter.value)
}

@Suite("Explored threads")
struct ExplorerTests {
    @Test("The same seed gives the same schedule and the same result")
    func sameSeedRepeats() {
        for seed in UInt64(1)...20 {
            let first = Explorer(seed: seed)
            let second = Explorer(seed: seed)
            let a = runCounter(first, guarded: false)
            let b = runCounter(second, guarded: false)
            #expect(a == b)
            #expect(first.trace == second.trace)
            #expect(first.trace.count > 5)
        }
    }

    @Test("Different seeds reach many different schedules and results")
    func differentSeedsDiffer() {
        var traces: Set<[UInt8]> = []
        var values: Set<Int> = []
        for seed in UInt64(1)...100 {
            let explorer = Explorer(seed: seed)
            values.insert(runCounter(explorer, guarded: false).1)
            traces.insert(explorer.trace)
        }
        #expect(traces.count >= 99)
        #expect(values.count >= 4, "results reached: \(values.sorted())")
    }

    @Test("A lost update is found within a few seeds, and a lock prevents it in every schedule")
    func lostUpdate() {
        let lostAt = (UInt64(1)...20).first { runCounter(Explorer(seed: $0), guarded: false, rounds: 1).1 < 3 }
        #expect(lostAt != nil)
        for seed in UInt64(1)...300 {
            let (outcome, value) = runCounter(Explorer(seed: seed), guarded: true)
            #expect(outcome == .completed)
            #expect(value == 9)
        }
    }

    @Test("A replay of the recorded picks gives the same schedule and the same outcome")
    func replayRepeats() {
        for seed in UInt64(1)...50 {
            let recorded = Explorer(seed: seed)
            let a = runCounter(recorded, guarded: false)
            let replayed = Explorer(replaying: recorded.trace)
            let b = runCounter(replayed, guarded: false)
            #expect(a == b)
            #expect(recorded.trace == replayed.trace)
        }
    }

    @Test("A replay of a deadlock deadlocks again, with the same words")
    func replayOfDeadlock() throws {
        let found = try #require(firstDeadlock())
        let (outcome, _) = takeInOppositeOrders(Explorer(replaying: found.trace))
        #expect(outcome == found.outcome)
    }

    @Test("Locks taken in opposite orders deadlock in some schedules; the report names who holds what")
    func deadlockIsFound() throws {
        let found = try #require(firstDeadlock())
        guard case .deadlock(let who) = found.outcome else { return }
        #expect(who.contains("first waits for the lock allocator held by second"))
        #expect(who.contains("second waits for the lock slots held by first"))
        let outcomes = Set((UInt64(1)...40).map { takeInOppositeOrders(Explorer(seed: $0)).0.description })
        #expect(outcomes.contains("completed"))
    }

    private func firstDeadlock() -> (outcome: ExplorationOutcome, trace: [UInt8])? {
        for seed in UInt64(1)...40 {
            let (outcome, trace) = takeInOppositeOrders(Explorer(seed: seed))
            if case .deadlock = outcome { return (outcome, trace) }
        }
        return nil
    }

    private func takeInOppositeOrders(_ explorer: Explorer) -> (ExplorationOutcome, [UInt8]) {
        let slots = Lock(.slots)
        let allocator = Lock(.allocator)
        explorer.checksLockOrder = false
        explorer.spawn("first") { slots.withLock { allocator.withLock {} } }
        explorer.spawn("second") { allocator.withLock { slots.withLock {} } }
        return (explorer.run(), explorer.trace)
    }

    @Test("Taking a lock out of order fails every schedule, even one that does not deadlock")
    func lockOrderIsChecked() {
        for seed in UInt64(1)...10 {
            let explorer = Explorer(seed: seed)
            let slots = Lock(.slots, label: "of vm 1")
            let allocator = Lock(.allocator)
            explorer.spawn("only") { allocator.withLock { slots.withLock {} } }
            let expected = "lock order: only takes slots of vm 1 (order 200) while it holds allocator (order 700)"
            #expect(explorer.run() == .failed(expected))
        }
    }

    @Test("Taking a held lock again, releasing a lock not held, and ending with a lock held fail the run")
    func misuseOfLocks() {
        let lock = Lock(.slots)
        let again = Explorer(seed: 1)
        again.spawn("t") { lock.withLock { lock.withLock {} } }
        #expect(again.run() == .failed("lock order: t takes slots, which it holds already"))

        let other = Lock(.slots)
        let notHeld = Explorer(seed: 1)
        notHeld.spawn("t") { other.unlock() }
        #expect(notHeld.run() == .failed("t releases slots, which it does not hold"))

        let kept = Explorer(seed: 1)
        kept.spawn("t") { other.lock() }
        #expect(kept.run() == .failed("t has ended and holds a lock"))
    }

    @Test("The hook runs at every point, sees each kind, and can fail the run there")
    func hook() {
        var seen: [SchedulePoint] = []
        let explorer = Explorer(seed: 3)
        let lock = Lock(.slots)
        explorer.onSchedulePoint = { point in
            seen.append(point)
            lock.withLock {}
            if point == .mailbox { explorer.fail("a command while nothing is ready") }
        }
        explorer.spawn("t") {
            lock.withLock { schedulePoint(.rmpUpdate) }
            schedulePoint(.mailbox)
            Issue.record("goes on after the run has failed")
        }
        #expect(explorer.run() == .failed("a command while nothing is ready"))
        #expect(seen == [.lockAcquire, .rmpUpdate, .lockRelease, .mailbox])
    }

    @Test("A body that throws fails the run; a run without end stops at its limit")
    func throwingAndEndless() {
        struct Broken: Error {}
        let throwing = Explorer(seed: 1)
        throwing.spawn("t") { throw Broken() }
        #expect(throwing.run() == .failed("t threw Broken()"))

        let endless = Explorer(seed: 1, maximumSteps: 1000)
        endless.spawn("t") { while true { schedulePoint(.yield) } }
        #expect(endless.run() == .tooManySteps)
        #expect(endless.steps == 1001)
    }

    @Test("A thread made by a thread runs too")
    func spawnInside() {
        var order: [String] = []
        let explorer = Explorer(seed: 5)
        explorer.spawn("parent") {
            order.append("parent")
            explorer.spawn("child") { order.append(explorer.currentName ?? "none") }
            schedulePoint(.yield)
        }
        #expect(explorer.run() == .completed)
        #expect(order == ["parent", "child"])
    }

    @Test("Outside a run a schedule point does nothing, and other OS threads are not explored")
    func otherThreadsAreFree() {
        schedulePoint(.yield)
        #expect(Explorer.current == nil)
        let explorer = Explorer(seed: 1)
        explorer.spawn("t") {
            #expect(Explorer.current === explorer)
            FreeThreads.run([{ #expect(Explorer.current == nil) }])
        }
        #expect(explorer.run() == .completed)
        #expect(Explorer.current == nil)
    }

    @Test("An explored thread has the stack for two thousand nested calls")
    func deepStack() {
        @inline(never) func descend(_ depth: Int) -> Int {
            schedulePoint(.yield)
            return depth == 0 ? 0 : 1 + descend(depth - 1)
        }
        var reached = 0
        let explorer = Explorer(seed: 1)
        for name in ["a", "b"] {
            explorer.spawn(name) {
                let depth = descend(2000)
                reached += depth
            }
        }
        #expect(explorer.run() == .completed)
        #expect(reached == 4000)
    }
}
