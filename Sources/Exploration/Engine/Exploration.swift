// Explores a scenario: schedule after schedule until one fails or the budget is used, then makes the failing one simple.

internal import Scheduling

/// Explores scenarios.
public enum Exploration {
    /// Runs a scenario under many schedules until something goes wrong.
    ///
    /// - Parameters:
    ///   - position: where an earlier exploration with these settings stopped
    ///   - checkpoint: is handed the report as it stands after a second and then every five, so that a process that is killed has
    ///     lost little
    ///   - progress: is told how things go a few times a second; false stops the exploration
    /// - Throws: what building the scenario's world refuses, and what `checkpoint` throws
    public static func run(
        _ scenario: Scenario, _ settings: ExplorationSettings, from position: ExplorationPosition? = nil,
        checkpoint: ((ExplorationReport) throws -> Void)? = nil,
        progress: (ExplorationProgress) -> Bool = { _ in true }
    ) throws -> ExplorationReport {
        var loop = ExplorationLoop(scenario, settings, position ?? ExplorationPosition())
        return try loop.run(checkpoint, progress)
    }

    /// Runs a token's schedule once.
    ///
    /// - Returns: what went wrong and what happened; the problem is nil if nothing did
    /// - Throws: what building the scenario's world refuses
    public static func replay(_ token: ReplayToken) throws -> Replay {
        guard let scenario = Scenario.named(token.scenario) else {
            throw ReplayToken.Failure.unknownScenario(token.scenario)
        }
        let runner = ScenarioRunner(scenario, bug: token.bug)
        let recorder = TimelineRecorder()
        runner.observer = recorder.observe
        let run = try runner.run(ReplaySchedule(token.schedule))
        return Replay(
            problem: run.problem?.description, lastWriter: run.problem == nil ? nil : runner.lastWriter,
            steps: run.steps, timeline: recorder.events)
    }

    /// What came of a replay.
    public struct Replay: Hashable, Sendable {
        /// What went wrong.
        public var problem: String?
        /// Who wrote the RMP entry in question last.
        public var lastWriter: String?
        /// The schedule points of the run.
        public var steps: Int
        /// What happened.
        public var timeline: [TimelineEvent]
    }
}

/// The loop over schedules.
struct ExplorationLoop {
    private let settings: ExplorationSettings
    private let scenario: Scenario
    private let runner: ScenarioRunner
    private let search: DepthFirstSearch
    private var position: ExplorationPosition
    private var report: ExplorationReport
    private let start = HostClock.now
    private var length = 100
    /// The runs so far, those of other shards included.
    private var runs: UInt64 = 0

    init(_ scenario: Scenario, _ settings: ExplorationSettings, _ position: ExplorationPosition) {
        self.scenario = scenario
        self.settings = settings
        self.position = position
        runner = ScenarioRunner(scenario, bug: settings.bug)
        search = DepthFirstSearch(preemptionBound: settings.preemptionBound, shard: settings.shard)
        report = ExplorationReport(scenario: scenario)
        if let text = position.search, !text.isEmpty { search.restore(text) }
        if settings.prunes {
            runner.keepsKeys = true
            search.stateKey = { [runner] in runner.stateKey() }
        }
    }

    mutating func run(
        _ checkpoint: ((ExplorationReport) throws -> Void)?, _ progress: (ExplorationProgress) -> Bool
    ) throws -> ExplorationReport {
        var nextCheckpoint = Self.firstCheckpoint
        if settings.strategy == .random || settings.strategy == .pct { runner.keepsKeys = false }
        while !isOver {
            let (strategy, isSearch) = nextStrategy()
            guard let strategy else { break }
            let run = try runner.run(strategy)
            length = max(length, run.steps)
            if !isSearch || search.isOwnRun {
                report.schedules += 1
                report.points += UInt64(run.steps)
            }
            if isSearch, !search.advance() {
                position.search = nil
                runner.keepsKeys = false
            }
            if let problem = run.problem {
                report.failure = try failure(problem, run)
                break
            }
            if report.schedules & 0xff == 0, !progress(now) {
                report.isInterrupted = true
                break
            }
            runs &+= 1
            if let checkpoint, runs & 0xff == 0, elapsed >= nextCheckpoint {
                try checkpoint(reportNow)
                nextCheckpoint = elapsed + Self.checkpointInterval
            }
        }
        return reportNow
    }

    /// The report as it stands between two runs.
    private var reportNow: ExplorationReport {
        var report = report
        report.nanoseconds = elapsed
        report.distinctStates = runner.states
        report.isExhausted = position.search == nil
        report.position = position
        if position.search != nil { report.position.search = search.position }
        return report
    }

    /// Nanoseconds.
    private static let firstCheckpoint: UInt64 = 1_000_000_000
    private static let checkpointInterval: UInt64 = 5_000_000_000

    private var elapsed: UInt64 { HostClock.now.nanoseconds - start.nanoseconds }

    private var isOver: Bool {
        switch settings.budget {
        case .schedules(let count): report.schedules >= count
        case .time(let nanoseconds): report.schedules & 0x1f == 0 && report.schedules > 0 && elapsed >= nanoseconds
        }
    }

    private var now: ExplorationProgress {
        let nanoseconds = elapsed
        let share: Double =
            switch settings.budget {
            case .schedules(let count): Double(report.schedules) / Double(max(count, 1))
            case .time(let budget): Double(nanoseconds) / Double(max(budget, 1))
            }
        return ExplorationProgress(
            scenario: scenario.name, schedules: report.schedules, points: report.points, states: runner.states.count,
            nanoseconds: nanoseconds, share: min(share, 1))
    }

    /// The strategy of the next run; nil when depth-first search has nothing left.
    private mutating func nextStrategy() -> ((any ScheduleStrategy)?, isSearch: Bool) {
        switch settings.strategy {
        case .dfs: return position.search == nil ? (nil, false) : (search, true)
        case .mixed:
            // Two in three depth first while that lasts: small counter-examples first, and deep ones, too.
            if position.search != nil, report.schedules % 3 != 2 { return (search, true) }
            let isPCT = position.nextSeed & 1 == 0
            return (isPCT ? pct() : random(), false)
        case .random: return (random(), false)
        case .pct: return (pct(), false)
        }
    }

    private mutating func nextSeed() -> UInt64 {
        let number = position.nextSeed
        position.nextSeed += 1
        let (index, count) = settings.shard ?? (0, 1)
        return settings.seed &* 0x9e37_79b9_7f4a_7c15 &+ number &* UInt64(count) &+ UInt64(index)
    }

    private mutating func random() -> RandomSchedule { RandomSchedule(seed: nextSeed()) }

    private mutating func pct() -> PCTSchedule {
        PCTSchedule(seed: nextSeed(), depth: settings.depth, length: length)
    }

    // MARK: Failures

    /// The simplest schedule that fails in the same way, with what happens in it.
    private func failure(_ problem: Problem, _ run: ScenarioRun) throws -> ExplorationFailure {
        var trace = run.trace
        let wanted = problem.kind
        if settings.minimizes { trace = try simplest(trace, wanted) }
        while trace.last == 0 { trace.removeLast() }
        let token = ReplayToken(scenario: scenario, bug: settings.bug, schedule: trace)
        let replay = try Exploration.replay(token)
        return ExplorationFailure(
            problem: replay.problem ?? problem.description, lastWriter: replay.lastWriter,
            schedules: report.schedules, token: token, timeline: replay.timeline)
    }

    /// First the schedules with few preemptions, all of them up to a limit; then the one at hand, made simpler.
    private func simplest(_ trace: [UInt8], _ wanted: String) throws -> [UInt8] {
        let runner = ScenarioRunner(scenario, bug: settings.bug)
        for bound in 0...2 {
            let search = DepthFirstSearch(preemptionBound: bound)
            var left = 2000
            repeat {
                let run = try runner.run(search)
                if run.problem?.kind == wanted { return run.trace }
                left -= 1
            } while left > 0 && search.advance()
        }
        var minimizer = ScheduleMinimizer(runLimit: 400)
        return minimizer.minimize(trace) { codes in
            (try? runner.run(ReplaySchedule(codes)))?.problem?.kind == wanted
        }
    }
}

extension Problem {
    /// The problem without its numbers: two schedules that fail in one way have the same.
    var kind: String {
        String(description.filter { !$0.isHexDigit || $0.isLetter && !"abcdef".contains($0) })
    }
}
