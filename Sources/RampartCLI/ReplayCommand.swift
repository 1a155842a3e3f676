// `rampart replay`, `rampart scenarios` and `rampart known-bugs`.

import ArgumentParser
import Exploration
import Rampart

struct ReplayCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run one schedule again and show what happens in it.",
        discussion: """
            Ends with status 1 if it fails as it did, 0 if it does not fail.

              rampart replay r1.fault-convert-eager.1.staleFaultMaps.AQ
            """)

    @Argument(help: ArgumentHelp("What `rampart explore` has printed.", valueName: "token"))
    var token: String

    @Flag(help: "Print JSON.")
    var json = false

    func perform() throws -> CommandOutcome {
        let token: ReplayToken
        do { token = try ReplayToken(self.token) } catch { throw CommandFailure.usage("\(error).") }
        let replay = try Exploration.replay(token)
        if json {
            let value = JSON.object([
                ("token", .string(token.description)), ("problem", replay.problem.map { .string($0) } ?? .null),
                ("lastWriter", replay.lastWriter.map { .string($0) } ?? .null), ("points", .integer(replay.steps)),
                ("timeline", .array(replay.timeline.map(\.json))),
            ])
            return CommandOutcome(
                output: value.indented() + "\n", status: replay.problem == nil ? .good : .violation)
        }
        var lines = ["\(token.scenario)" + (token.bug.map { " with \($0.name): \($0.summary)" } ?? "")]
        lines += replay.timeline.map(\.line)
        lines.append(replay.problem.map { "FAILS: \($0)" } ?? "Nothing goes wrong in \(replay.steps) points.")
        if let lastWriter = replay.lastWriter { lines.append("  \(lastWriter)") }
        return CommandOutcome(
            output: lines.joined(separator: "\n") + "\n", status: replay.problem == nil ? .good : .violation)
    }
}

struct ScenariosCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenarios", abstract: "List the scenarios that can be explored, one a line.")

    @Flag(help: "Print JSON.")
    var json = false

    func perform() -> CommandOutcome {
        let all = Scenario.all
        if json {
            let members = all.map { scenario in
                JSON.object([
                    ("name", .string(scenario.name)), ("area", .string(scenario.area.rawValue)),
                    ("summary", .string(scenario.summary)), ("version", .integer(scenario.version)),
                ])
            }
            return CommandOutcome(output: JSON.array(members).indented() + "\n")
        }
        return CommandOutcome(
            output: all.map { padded($0.name, to: 28) + $0.summary }.joined(separator: "\n") + "\n")
    }
}

struct KnownBugsCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "known-bugs",
        abstract: "Switch on bugs that hypervisors have had, one after the other, and see each found.",
        discussion: """
            For each bug: its number in the list of known bugs, its name, in how many schedules it was found, and the token \
            that replays it. Each token is replayed twice.

            Ends with status 1 if a bug is not found, or its token does not replay.
            """)

    @Argument(help: ArgumentHelp("The bugs, by name or number; all without.", valueName: "bug"))
    var bugs: [String] = []

    @Option(help: ArgumentHelp("The most schedules of one scenario for one bug.", valueName: "number"))
    var budget: UInt64 = 5000

    @Flag(help: "Only list the bugs.")
    var list = false

    @Flag(help: "Print JSON.")
    var json = false

    func perform() throws -> CommandOutcome {
        let bugs = bugs.isEmpty ? KnownBug.all : try bugs.map { try knownBug($0) }
        if list {
            return CommandOutcome(
                output: bugs.map { $0.label + $0.summary }.joined(separator: "\n") + "\n")
        }
        let results = try bugs.enumerated().map { index, bug in
            Progress.show("[\(index + 1)/\(bugs.count)] \(bug.name)")
            return try Exploration.find(bug, schedules: budget)
        }
        let found = results.count { $0.isGood }
        let status: CommandStatus = found == results.count ? .good : .violation
        if json {
            return CommandOutcome(output: JSON.array(results.map(\.json)).indented() + "\n", status: status)
        }
        let numbered = results.count { $0.isGood && $0.bug.number != nil }
        var lines = results.flatMap(\.lines)
        lines.append(
            "\(found) of \(results.count) found and replayed twice, \(numbered) of them from the list of known bugs")
        return CommandOutcome(output: lines.joined(separator: "\n") + "\n", status: status)
    }
}

extension KnownBug {
    /// The number and the name, in columns.
    var label: String { padded(left: number.map { String($0) } ?? "-", to: 3) + "  " + padded(name, to: 24) }
}

extension KnownBugResult {
    var lines: [String] {
        guard let failure else { return ["\(bug.label)NOT FOUND in \(schedules) schedules"] }
        let replayed = isReplayed ? "" : ", DOES NOT REPLAY"
        return [
            "\(bug.label)found in \(schedules) schedules\(replayed): \(failure.problem)",
            "     rampart replay \(failure.token)",
        ]
    }

    var json: JSON {
        .object([
            ("number", bug.number.map { .integer($0) } ?? .null), ("name", .string(bug.name)),
            ("summary", .string(bug.summary)), ("found", .boolean(failure != nil)),
            ("replayed", .boolean(isReplayed)), ("schedules", .unsigned(schedules)),
            ("nanoseconds", .unsigned(nanoseconds)), ("problem", failure.map { .string($0.problem) } ?? .null),
            ("token", failure.map { .string($0.token.description) } ?? .null),
        ])
    }
}
