// `rampart trace`: shows a trace that `rampart run --trace` recorded.

import ArgumentParser
import Monitor
import Rampart

struct TraceCommand: ParsableCommand {
    /// What a trace is turned into.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case summary, ftrace, perfetto, events
    }
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show what happened in a recorded run: a summary, kvm-style ftrace text, or JSON for Perfetto.",
        discussion: """
            Record a run with rampart run --trace FILE. It has every entry and exit, GHCB request and reply, change of the RMP, \
            change of memory attributes, firmware command, injected event and exit to the monitor, in virtual time: a tick for \
            each instruction. Two runs of the same guest give the same bytes.

            Open the output of --format perfetto in https://ui.perfetto.dev or chrome://tracing; one microsecond there is \
            one tick, and each event takes one more. docs/explanations.md describes the file.

            A filter is vcpu=N, gpa=FIRST-LAST, time=FIRST-LAST or event=NAME,NAME; filters of one kind are alternatives, of \
            different kinds all must hold.

              rampart run --trace hello.trace
              rampart trace hello.trace
              rampart trace hello.trace --format ftrace --filter vcpu=0 --filter event=exit,vmgexit
              rampart trace hello.trace --format perfetto --out hello.json
            """)

    @Argument(help: ArgumentHelp("The recorded trace.", valueName: "file"))
    var file: String

    @Option(help: "What to make of it (summary, ftrace, perfetto, events).")
    var format = Format.summary

    @Option(help: ArgumentHelp("Which events; may be given several times.", valueName: "condition"))
    var filter: [String] = []

    @Option(help: ArgumentHelp("Write to a file instead of the terminal.", valueName: "path"))
    var out: String?

    @Flag(help: "The same as --format perfetto.")
    var json = false
}

extension TraceCommand: OutcomeCommand {
    /// Reads and shows the trace.
    ///
    /// - Throws: `InputError`, in check order: a filter, the file, what it holds, the file to write
    func perform() throws -> CommandOutcome {
        var wanted = TraceFilter()
        for condition in filter { try wanted.add(condition) }
        let bytes: [UInt8]
        do { bytes = try readFile(file, limit: TraceFile.byteLimit) } catch { throw InputError("\(file): \(error)") }
        let trace = try TraceFile(bytes, name: file)
        let text =
            switch json ? .perfetto : format {
            case .summary: trace.summary(wanted)
            case .ftrace: trace.ftrace(wanted)
            case .perfetto: trace.perfetto(wanted)
            case .events: trace.events.filter(wanted.allows).map { $0.line + "\n" }.joined()
            }
        guard let out else { return CommandOutcome(output: text) }
        do { try writeFile(out, Array(text.utf8)) } catch { throw InputError("\(out): \(error)") }
        return CommandOutcome()
    }
}
