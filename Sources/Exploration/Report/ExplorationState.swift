// Where explorations of a folder stand: one small text file for each scenario, strategy and shard.

internal import Scheduling

/// One scenario's share of a long exploration, as it is kept between runs.
public struct ExplorationState: Hashable, Sendable {
    /// The scenario's name and version, the strategy, the seed and the shard: they must agree to go on.
    public var identity: String
    /// The schedules so far.
    public var schedules: UInt64 = 0
    /// The points so far.
    public var points: UInt64 = 0
    /// The distinct states of the world that its runs have seen, each as a number that is the same in every process.
    public var states: Set<UInt64> = []
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
            "identity \(identity)", "schedules \(schedules)", "points \(points)", "states \(states.count)",
            "nanoseconds \(nanoseconds)", "seed \(position.nextSeed)", "search \(position.search ?? "done")",
        ] + tokens.map { "token \($0)" } + stateLines).joined(separator: "\n") + "\n"
    }

    /// A short text that sets of states have in common if they are equal, and otherwise almost never.
    public static func digest(of states: Set<UInt64>) -> String {
        let digits = String(states.sorted().reduce(into: StateHasher()) { $0.combine($1) }.value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The states in order, a few on each line, so that equal sets are equal text.
    private var stateLines: [String] {
        let words = states.sorted().map { String($0, radix: 36) }
        return stride(from: 0, to: words.count, by: 8).map { first in
            "seen " + words[first..<min(first + 8, words.count)].joined(separator: " ")
        }
    }

    /// Reads a file's contents; nil if they are none.
    public init?(_ text: String) {
        var values: [String: String] = [:]
        var tokens: [String] = []
        var numbers: Set<UInt64> = []
        for line in text.split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { return nil }
            let (key, value) = (String(line[..<space]), String(line[line.index(after: space)...]))
            switch key {
            case "token": tokens.append(value)
            case "seen":
                for word in value.split(separator: " ") {
                    guard let number = UInt64(word, radix: 36) else { return nil }
                    numbers.insert(number)
                }
            default: values[key] = value
            }
        }
        guard let identity = values["identity"], let schedules = values["schedules"].flatMap({ UInt64($0) }),
            let points = values["points"].flatMap({ UInt64($0) }),
            let count = values["states"].flatMap({ Int($0) }), count == numbers.count,
            let nanoseconds = values["nanoseconds"].flatMap({ UInt64($0) }),
            let seed = values["seed"].flatMap({ UInt64($0) }), let search = values["search"]
        else { return nil }
        self.identity = identity
        self.schedules = schedules
        self.points = points
        states = numbers
        self.nanoseconds = nanoseconds
        self.tokens = tokens
        position.nextSeed = seed
        position.search = search == "done" ? nil : search
    }

    /// Adds what a run has done.
    public mutating func add(_ report: ExplorationReport) {
        schedules += report.schedules
        points += report.points
        states.formUnion(report.distinctStates)
        nanoseconds += report.nanoseconds
        position = report.position
        if let failure = report.failure { tokens.append(failure.token.description) }
    }
}
