// Where explorations of a folder stand: one small text file for each scenario, strategy and shard.

/// One scenario's share of a long exploration, as it is kept between runs.
public struct ExplorationState: Hashable, Sendable {
    /// The scenario's name and version, the strategy, the seed and the shard: they must agree to go on.
    public var identity: String
    /// The schedules so far.
    public var schedules: UInt64 = 0
    /// The points so far.
    public var points: UInt64 = 0
    /// The most distinct states that one run of the program has seen.
    public var states: UInt64 = 0
    /// The time so far, in nanoseconds.
    public var nanoseconds: UInt64 = 0
    /// Where the next run begins.
    public var position = ExplorationPosition()
    /// The tokens of what went wrong.
    public var tokens: [String] = []

    /// The state of an exploration that has not begun.
    public init(_ scenario: Scenario, _ settings: ExplorationSettings) {
        let shard = settings.shard.map { "\($0.index)/\($0.count)" } ?? "0/1"
        identity = [
            scenario.name, String(scenario.version), settings.strategy.rawValue, String(settings.seed),
            settings.preemptionBound.map { String($0) } ?? "any", settings.bug?.name ?? "none", shard,
        ].joined(separator: " ")
    }

    /// The name of its file.
    public var fileName: String {
        String(identity.map { $0 == " " || $0 == "/" ? "-" : $0 }) + ".exploration"
    }

    /// The scenario's name.
    public var scenario: String { String(identity.prefix { $0 != " " }) }

    /// The contents of its file.
    public var text: String {
        ([
            "identity \(identity)", "schedules \(schedules)", "points \(points)", "states \(states)",
            "nanoseconds \(nanoseconds)", "seed \(position.nextSeed)", "search \(position.search ?? "done")",
        ] + tokens.map { "token \($0)" }).joined(separator: "\n") + "\n"
    }

    /// Reads a file's contents; nil if they are none.
    public init?(_ text: String) {
        var values: [String: String] = [:]
        var tokens: [String] = []
        for line in text.split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { return nil }
            let (key, value) = (String(line[..<space]), String(line[line.index(after: space)...]))
            if key == "token" { tokens.append(value) } else { values[key] = value }
        }
        guard let identity = values["identity"], let schedules = values["schedules"].flatMap({ UInt64($0) }),
            let points = values["points"].flatMap({ UInt64($0) }),
            let states = values["states"].flatMap({ UInt64($0) }),
            let nanoseconds = values["nanoseconds"].flatMap({ UInt64($0) }),
            let seed = values["seed"].flatMap({ UInt64($0) }), let search = values["search"]
        else { return nil }
        self.identity = identity
        self.schedules = schedules
        self.points = points
        self.states = states
        self.nanoseconds = nanoseconds
        self.tokens = tokens
        position.nextSeed = seed
        position.search = search == "done" ? nil : search
    }

    /// Adds what a run has done.
    public mutating func add(_ report: ExplorationReport) {
        schedules += report.schedules
        points += report.points
        states = max(states, UInt64(report.states))
        nanoseconds += report.nanoseconds
        position = report.position
        if let failure = report.failure { tokens.append(failure.token.description) }
    }
}
