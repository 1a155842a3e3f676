// The benchmark of the explorer: each known bug is switched on, and must be found.

/// Whether exploration finds a known bug.
public struct KnownBugResult: Sendable {
    /// The bug.
    public var bug: KnownBug
    /// What was found, or nil.
    public var failure: ExplorationFailure?
    /// Whether the token gave the same failure twice.
    public var isReplayed = false
    /// The schedules made in all scenarios.
    public var schedules: UInt64 = 0
    /// The time it took, in nanoseconds.
    public var nanoseconds: UInt64 = 0
    /// Found, and replayed twice.
    public var isGood: Bool { failure != nil && isReplayed }
}

extension Exploration {
    /// Explores every scenario with a known bug switched on, each with a part of the budget, until one of them finds it.
    ///
    /// - Parameter schedules: the most schedules of one scenario
    /// - Throws: what building a world refuses
    public static func find(_ bug: KnownBug, schedules: UInt64 = 2000) throws -> KnownBugResult {
        var result = KnownBugResult(bug: bug)
        var settings = ExplorationSettings()
        settings.bug = bug
        // First a few schedules of everything, so that a bug that needs little luck is found soon.
        for budget in [20, min(300, schedules), schedules] where result.failure == nil {
            settings.budget = .schedules(budget)
            for scenario in Scenario.all {
                // Where a bug keeps the world from being built, it is for another scenario to find.
                guard let report = try? run(scenario, settings) else { continue }
                result.schedules += report.schedules
                result.nanoseconds += report.nanoseconds
                guard let failure = report.failure else { continue }
                result.failure = failure
                let replays = try (0..<2).map { _ in try replay(ReplayToken(failure.token.description)) }
                result.isReplayed = replays.allSatisfy { $0.problem == failure.problem } && replays[0] == replays[1]
                break
            }
        }
        return result
    }
}
