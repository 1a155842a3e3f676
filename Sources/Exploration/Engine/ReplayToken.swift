// A failing run on one line: what to type to see it again.

internal import Scheduling

/// Names one run: the scenario, the defect that was switched on, and the schedule.
///
/// The text is `r1.SCENARIO.VERSION.DEFECT.SCHEDULE`, with `none` for no defect.
public struct ReplayToken: Hashable, Sendable, CustomStringConvertible {
    /// The scenario's name.
    public var scenario: String
    /// The scenario's version when the token was made.
    public var version: Int
    /// The known bug that was switched on.
    public var bug: KnownBug?
    /// The picks.
    public var schedule: [UInt8]

    /// Makes a token.
    public init(scenario: Scenario, bug: KnownBug?, schedule: [UInt8]) {
        self.scenario = scenario.name
        version = scenario.version
        self.bug = bug
        self.schedule = schedule
    }

    /// Why a text is no token, or one that cannot be replayed.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// Not of the form of a token.
        case malformed
        /// There is no such scenario.
        case unknownScenario(String)
        /// There is no such defect.
        case unknownDefect(String)
        /// The scenario has changed since.
        case outdated(String)

        /// What is wrong, and what to do.
        public var description: String {
            switch self {
            case .malformed: "this is no replay token. Copy it whole: r1.SCENARIO.VERSION.DEFECT.SCHEDULE"
            case .unknownScenario(let name): "there is no scenario \(name). See `rampart scenarios`"
            case .unknownDefect(let name): "there is no defect \(name). See `rampart known-bugs --list`"
            case .outdated(let name): "the scenario \(name) has changed since the token was made. Explore it again"
            }
        }
    }

    /// Reads a token.
    ///
    /// - Throws: in check order: `.malformed`, `.unknownScenario`, `.outdated`, `.unknownDefect`
    public init(_ text: String) throws(Failure) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[0] == "r1", let version = Int(parts[2]),
            let schedule = ScheduleText.decode(parts[4])
        else { throw .malformed }
        guard let scenario = Scenario.named(parts[1]) else { throw .unknownScenario(parts[1]) }
        guard scenario.version == version else { throw .outdated(parts[1]) }
        var bug: KnownBug?
        if parts[3] != "none" {
            guard let known = KnownBug(parts[3]), known.name == parts[3] else { throw .unknownDefect(parts[3]) }
            bug = known
        }
        self.init(scenario: scenario, bug: bug, schedule: schedule)
    }

    /// The token.
    public var description: String {
        "r1.\(scenario).\(version).\(bug?.name ?? "none").\(ScheduleText.encode(schedule))"
    }
}
