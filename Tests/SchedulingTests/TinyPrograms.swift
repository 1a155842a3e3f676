// Programs of a few lines with one bug each, and a way to run every one of their schedules.

import Scheduling

/// Two threads, or more, that share a few numbers.
final class TinyProgram {
    var value = 0
    var isReady = false
    let first = Lock(.slots)
    let second = Lock(.allocator)
    lazy var condition = Condition(first)
    var check: () -> String? = { nil }
    let explorer: Explorer

    init(_ strategy: any ScheduleStrategy, _ fill: (TinyProgram) -> Void) {
        explorer = Explorer(strategy: strategy, maximumSteps: 10_000)
        explorer.checksLockOrder = false
        fill(self)
    }

    /// What goes wrong, or nil.
    func run() -> String? {
        let outcome = explorer.run()
        return outcome == .completed ? check() : outcome.description
    }

    /// Threads that do nothing but reach points.
    static func walkers(_ threads: Int, points: Int) -> (TinyProgram) -> Void {
        { program in
            for thread in 0..<threads {
                program.explorer.spawn("t\(thread)") { for _ in 0..<points { schedulePoint(.rmpRead) } }
            }
        }
    }

    /// Each thread reads, is interrupted, and writes what it read plus one.
    static func lostUpdate(_ program: TinyProgram) {
        for name in ["a", "b"] {
            program.explorer.spawn(name) { [unowned program] in
                let read = program.value
                schedulePoint(.rmpRead)
                program.value = read + 1
            }
        }
        program.check = { [unowned program] in program.value == 2 ? nil : "an update is lost" }
    }

    /// Two locks in opposite orders.
    static func crossedLocks(_ program: TinyProgram) {
        program.explorer.spawn("ab") { [unowned program] in program.first.withLock { program.second.withLock {} } }
        program.explorer.spawn("ba") { [unowned program] in program.second.withLock { program.first.withLock {} } }
    }

    /// A waiter that looks before it takes the lock: the wake-up may come in between.
    static func lostWakeUp(_ program: TinyProgram) {
        _ = program.condition
        program.explorer.spawn("waiter") { [unowned program] in
            let isReady = program.isReady
            schedulePoint(.rmpRead)
            if !isReady { program.first.withLock { program.condition.wait() } }
        }
        program.explorer.spawn("waker") { [unowned program] in
            program.first.withLock {
                program.isReady = true
                program.condition.wakeAll()
            }
        }
    }

    /// A bug that needs a to go far before b starts, b to end before a goes on, and then a again.
    static func deepBug(_ program: TinyProgram) {
        var steps = [0, 0]
        program.explorer.spawn("a") { [unowned program] in
            for _ in 0..<12 {
                schedulePoint(.rmpRead)
                steps[0] += 1
            }
            if steps[1] == 0 { program.value = 1 }
            for _ in 0..<12 {
                schedulePoint(.rmpRead)
                steps[0] += 1
            }
            if program.value == 2 { program.value = 3 }
        }
        program.explorer.spawn("b") { [unowned program] in
            for _ in 0..<12 {
                schedulePoint(.rmpRead)
                steps[1] += 1
            }
            if program.value == 1, steps[0] < 24 { program.value = 2 }
        }
        program.check = { [unowned program] in program.value == 3 ? "three events in order" : nil }
    }
}

/// Runs every schedule of a program; returns how many there are, and the traces that fail.
func enumerate(
    _ search: DepthFirstSearch, _ fill: (TinyProgram) -> Void
) -> (count: Int, failures: [(trace: [UInt8], problem: String)]) {
    var count = 0
    var failures: [(trace: [UInt8], problem: String)] = []
    repeat {
        let program = TinyProgram(search, fill)
        if let problem = program.run() { failures.append((program.explorer.trace, problem)) }
        if search.isOwnRun { count += 1 }
    } while search.advance() && count < 100_000
    return (count, failures)
}
