// Probabilistic concurrency testing: random priorities and a few random points at which the running thread drops back.

/// Runs the thread of the highest priority; at a few random points of the run that thread gets the lowest one.
///
/// A bug that needs `depth` events in one order is found in a run of n threads and k points with a probability of at least
/// 1 / (n * k^(depth - 1)), however the rest of the schedule falls.
///
/// - Spec: Burckhardt and others, A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010
public struct PCTSchedule: ScheduleStrategy {
    private var entropy: EntropySource
    /// The priority of each thread, 0 while it has none.
    private var priorities: [UInt64]
    private var changes: [Int]
    private var lowest: UInt64 = 1 << 20

    /// Makes a strategy.
    ///
    /// - Parameters:
    ///   - depth: how many events in order the bug needs, at least 1; there are `depth` - 1 points of change
    ///   - length: how many points a run is expected to have
    public init(seed: UInt64, depth: Int, length: Int) {
        entropy = EntropySource(seed: seed)
        priorities = []
        changes = []
        for _ in 1..<max(depth, 1) { changes.append(Int(entropy.next() >> 1) % max(length, 1)) }
        changes.sort(by: >)
    }

    /// Picks the thread of the highest priority.
    public mutating func choose(_ choice: ScheduleChoice) -> Int {
        while let change = changes.last, choice.step >= change {
            changes.removeLast()
            drop(choice.current)
        }
        if choice.point == .yield { drop(choice.current) }
        var best = -1
        var bestPriority: UInt64 = 0
        var left = choice.runnable
        while left != 0 {
            let thread = left.trailingZeroBitCount
            left &= left &- 1
            while priorities.count <= thread { priorities.append(1 << 32 + entropy.next() >> 24) }
            if priorities[thread] > bestPriority { (best, bestPriority) = (thread, priorities[thread]) }
        }
        return best
    }

    private mutating func drop(_ thread: Int) {
        guard thread >= 0 else { return }
        while priorities.count <= thread { priorities.append(1 << 32 + entropy.next() >> 24) }
        lowest -= 1
        priorities[thread] = lowest
    }
}
