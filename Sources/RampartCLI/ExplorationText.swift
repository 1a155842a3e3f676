// What explorations say to a person and to a program.

import Exploration
import Rampart

extension ExplorationProgress {
    /// One line while it goes on.
    func text(_ number: Int, of count: Int) -> String {
        "[\(number)/\(count)] \(scenario): \(schedules) schedules, \(states) states, \(UInt64(rate)) a second, "
            + "\(left / 1_000_000_000) s left"
    }
}

extension ExplorationReport {
    /// The report for a person.
    var text: String {
        var line = padded(scenario.name, to: 28) + "\(schedules) schedules, \(points) points, \(states) states, "
        line += "\(UInt64(rate)) schedules/s, \(UInt64(pointRate)) points/s"
        if isExhausted { line += ", every schedule of the bound" }
        guard let failure else { return line + (isInterrupted ? ", stopped" : "") + "\n" }
        return line + "\n" + failure.text
    }
}

extension ExplorationFailure {
    /// What was found, for a person.
    var text: String {
        var lines = ["", "FOUND in schedule \(schedules): \(problem)"]
        if let lastWriter { lines.append("  \(lastWriter)") }
        lines.append("")
        lines += timeline.map(\.line)
        lines += ["", "  rampart replay \(token)", ""]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension TimelineEvent {
    /// One line of a timeline.
    var line: String { "  " + padded(left: String(step), to: 5) + "  " + padded(thread, to: 10) + text }

    var json: JSON {
        .object([("step", .integer(step)), ("thread", .string(thread)), ("text", .string(text))])
    }
}

extension JSON {
    init(_ reports: [ExplorationReport]) { self = .array(reports.map { JSON($0) }) }

    init(_ report: ExplorationReport) {
        self = .object([
            ("scenario", .string(report.scenario.name)), ("schedules", .unsigned(report.schedules)),
            ("points", .unsigned(report.points)), ("states", .integer(report.states)),
            ("digest", .string(ExplorationState.digest(of: report.distinctStates))),
            ("nanoseconds", .unsigned(report.nanoseconds)), ("exhausted", .boolean(report.isExhausted)),
            ("interrupted", .boolean(report.isInterrupted)),
            ("failure", report.failure.map { JSON($0) } ?? .null),
        ])
    }

    init(_ failure: ExplorationFailure) {
        self = .object([
            ("problem", .string(failure.problem)), ("lastWriter", failure.lastWriter.map { .string($0) } ?? .null),
            ("schedules", .unsigned(failure.schedules)), ("token", .string(failure.token.description)),
            ("timeline", .array(failure.timeline.map(\.json))),
        ])
    }
}
