// How to explore: which schedules, how many, and which share of them.

/// How schedules are chosen.
public enum ExplorationStrategy: String, CaseIterable, Sendable {
    /// Even picks from a seed.
    case random
    /// Random priorities with a few changes.
    case pct
    /// Every schedule up to a number of preemptions.
    case dfs
    /// Depth first up to two preemptions, then PCT and even picks in turn.
    case mixed
}

/// How long to go on.
public enum ExplorationBudget: Hashable, Sendable {
    /// So many schedules.
    case schedules(UInt64)
    /// So much time, in nanoseconds.
    case time(UInt64)
}

/// What to explore a scenario with.
public struct ExplorationSettings: Sendable {
    /// How schedules are chosen.
    public var strategy = ExplorationStrategy.mixed
    /// Seeds what is random.
    public var seed: UInt64 = 1
    /// How long to go on.
    public var budget = ExplorationBudget.schedules(10_000)
    /// How many preemptions depth-first schedules have; nil for any number.
    public var preemptionBound: Int? = 2
    /// How many events in order PCT looks for.
    public var depth = 3
    /// Do only this share of the work.
    public var shard: (index: Int, count: Int)?
    /// A known bug to switch on.
    public var bug: KnownBug?
    /// Whether depth-first search leaves out what follows a state that it has been in.
    public var prunes = true
    /// Whether a failing schedule is made simpler.
    public var minimizes = true

    /// Makes settings for a quick look.
    public init() {}
}

/// How far an exploration has come.
public struct ExplorationProgress: Sendable {
    /// The scenario.
    public var scenario: String
    /// The schedules so far.
    public var schedules: UInt64
    /// The schedule points so far.
    public var points: UInt64
    /// The distinct states of the world so far.
    public var states: Int
    /// The time so far, in nanoseconds.
    public var nanoseconds: UInt64
    /// The share of the budget that is used, 0 to 1.
    public var share: Double

    /// Schedules in a second.
    public var rate: Double { nanoseconds == 0 ? 0 : Double(schedules) * 1e9 / Double(nanoseconds) }
    /// The time that is left, in nanoseconds, if things go on like this.
    public var left: UInt64 {
        share <= 0 ? 0 : UInt64(max(0, Double(nanoseconds) / share - Double(nanoseconds)))
    }
}

/// Something that went wrong in one schedule.
public struct ExplorationFailure: Sendable {
    /// What is wrong.
    public var problem: String
    /// Who wrote the RMP entry in question last.
    public var lastWriter: String?
    /// The schedules made until it was found.
    public var schedules: UInt64
    /// The run to see again.
    public var token: ReplayToken
    /// What happened in that run.
    public var timeline: [TimelineEvent]
}

/// What came of exploring a scenario.
public struct ExplorationReport: Sendable {
    /// The scenario.
    public var scenario: Scenario
    /// The schedules.
    public var schedules: UInt64 = 0
    /// The schedule points.
    public var points: UInt64 = 0
    /// The distinct states of the world.
    public var states: Int { distinctStates.count }
    /// Those states, each as a number that is the same in every process.
    public var distinctStates: Set<UInt64> = []
    /// The time it took, in nanoseconds.
    public var nanoseconds: UInt64 = 0
    /// Depth-first search has been through every schedule of its bound.
    public var isExhausted = false
    /// It was stopped before its budget was used.
    public var isInterrupted = false
    /// What went wrong, if anything.
    public var failure: ExplorationFailure?
    /// Where it stands, for going on.
    public var position = ExplorationPosition()

    /// Makes a report of nothing.
    public init(scenario: Scenario) { self.scenario = scenario }

    /// Schedules in a second.
    public var rate: Double { nanoseconds == 0 ? 0 : Double(schedules) * 1e9 / Double(nanoseconds) }
    /// Points in a second.
    public var pointRate: Double { nanoseconds == 0 ? 0 : Double(points) * 1e9 / Double(nanoseconds) }
}

/// Where an exploration stands.
public struct ExplorationPosition: Hashable, Sendable {
    /// The number of the next random schedule.
    public var nextSeed: UInt64 = 0
    /// The picks of the next depth-first schedule; nil when the search has come to its end.
    public var search: String? = ""

    /// The start.
    public init() {}
}
