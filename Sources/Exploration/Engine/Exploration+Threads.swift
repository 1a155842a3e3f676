// One exploration on several threads of this computer: each has a shard, and worlds of its own.

internal import Scheduling
internal import Synchronization

extension Exploration {
    /// Settings of the shards that so many threads work on: together they are the work that `settings` mean.
    public static func split(_ settings: ExplorationSettings, among threads: Int) -> [ExplorationSettings] {
        precondition(threads > 0, "at least one thread")
        guard threads > 1 else { return [settings] }
        let (index, count) = settings.shard ?? (0, 1)
        return (0..<threads).map { thread in
            var own = settings
            own.shard = (index + thread * count, count * threads)
            if case .schedules(let total) = settings.budget {
                let share = total / UInt64(threads) + (UInt64(thread) < total % UInt64(threads) ? 1 : 0)
                own.budget = .schedules(share)
            }
            return own
        }
    }

    /// Explores shards of a scenario at the same time, each on a thread of its own. What one of them finds stops the others.
    ///
    /// - Parameters:
    ///   - shards: what each thread does, as `split` makes them
    ///   - positions: where each of them stands
    ///   - checkpoint: as of `run`, with the shard's place in the list, on the thread of that shard
    ///   - progress: is told how things go in all a few times a second, on one thread at a time; false stops everything
    /// - Returns: the reports, in the order of the shards
    /// - Throws: what building the scenario's world refuses, and what `checkpoint` throws
    public static func run(
        _ scenario: Scenario, shards: [ExplorationSettings], from positions: [ExplorationPosition],
        checkpoint: (@Sendable (Int, ExplorationReport) throws -> Void)? = nil,
        progress: @escaping @Sendable (ExplorationProgress) -> Bool = { _ in true }
    ) throws -> [ExplorationReport] {
        precondition(shards.count == positions.count, "a position for each shard")
        let team = Team(scenario, count: shards.count)
        FreeThreads.run(
            shards.indices.map { index in
                { @Sendable in
                    team.finish(
                        index,
                        Result {
                            try run(
                                scenario, shards[index], from: positions[index],
                                checkpoint: checkpoint.map { save in { try save(index, $0) } },
                                progress: { team.goesOn(index, $0, progress) })
                        })
                }
            })
        return try team.reports()
    }

    /// What the threads of one exploration have in common.
    private final class Team: Sendable {
        private struct Members {
            var progress: [ExplorationProgress?]
            var results: [Result<ExplorationReport, any Error>?]
            var isStopped = false
        }
        private let scenario: Scenario
        private let members: Mutex<Members>

        init(_ scenario: Scenario, count: Int) {
            self.scenario = scenario
            members = Mutex(
                Members(
                    progress: Array(repeating: nil, count: count), results: Array(repeating: nil, count: count)))
        }

        /// Notes how far a thread is; false if all are to stop.
        func goesOn(
            _ index: Int, _ own: ExplorationProgress, _ tell: (ExplorationProgress) -> Bool
        ) -> Bool {
            members.withLock { members in
                members.progress[index] = own
                guard !members.isStopped else { return false }
                var all = own
                let known = members.progress.compactMap { $0 }
                all.schedules = known.reduce(0) { $0 + $1.schedules }
                all.points = known.reduce(0) { $0 + $1.points }
                // Threads see some states in common: how many is known at the end.
                all.states = known.map(\.states).max() ?? 0
                if !tell(all) { members.isStopped = true }
                return !members.isStopped
            }
        }

        func finish(_ index: Int, _ result: Result<ExplorationReport, any Error>) {
            members.withLock { members in
                members.results[index] = result
                switch result {
                case .success(let report): if report.failure != nil { members.isStopped = true }
                case .failure: members.isStopped = true
                }
            }
        }

        func reports() throws -> [ExplorationReport] {
            let results = members.withLock { $0.results }
            return try results.map { result in
                guard let result else { preconditionFailure("every thread has ended") }
                return try result.get()
            }
        }
    }
}

extension ExplorationReport {
    /// What shards that ran at the same time have done together.
    ///
    /// The failure is that of the first shard that has one; it is exhausted if all are. Its position is of no use.
    public init(joining reports: [ExplorationReport]) {
        precondition(!reports.isEmpty, "reports to join")
        self = reports[0]
        for report in reports.dropFirst() {
            schedules += report.schedules
            points += report.points
            distinctStates.formUnion(report.distinctStates)
            nanoseconds = max(nanoseconds, report.nanoseconds)
            isExhausted = isExhausted && report.isExhausted
            isInterrupted = isInterrupted || report.isInterrupted
            failure = failure ?? report.failure
        }
        // A shard that stopped because another has found something was not interrupted.
        if failure != nil { isInterrupted = false }
    }
}
