// `rampart explore`: runs scenarios under many schedules, and `rampart explore merge`: joins what shards have found.

import ArgumentParser
import Exploration
import Rampart

struct ExploreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explore",
        abstract: "Run scenarios under many schedules and look for what goes wrong.",
        discussion: """
            A scenario is a few threads of a VMM and its virtual CPUs over a small host; see rampart scenarios. At every \
            point where a thread can be interrupted the invariants are checked. What goes wrong is shown with the simplest \
            schedule that does it, and a token that replays it.

            Ends with status 1 if something was found.

              rampart explore fault-convert-eager --budget 100000
              rampart explore --all --budget 60s --threads 2
              rampart explore two-converters --strategy dfs --preemptions 3 --state night --shard 0/4
              rampart explore merge night
            """,
        subcommands: [ExploreScenariosCommand.self, ExploreMergeCommand.self],
        defaultSubcommand: ExploreScenariosCommand.self)
}

struct ExploreScenariosCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run scenarios under many schedules (what rampart explore does without a word).")

    @Argument(help: ArgumentHelp("The scenarios.", valueName: "scenario"))
    var names: [String] = []

    @Flag(help: "Explore every scenario; a budget of time is shared among them.")
    var all = false

    @Option(
        help: "How schedules are chosen (random, pct, dfs, mixed).", transform: ExplorationStrategy.init(argument:))
    var strategy = ExplorationStrategy.mixed

    @Option(help: ArgumentHelp("Seeds what is random.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("How long: a number of schedules, or a time as 60s.", valueName: "budget"))
    var budget = BudgetArgument(.schedules(10_000))

    @Option(help: ArgumentHelp("The most preemptions of a depth-first schedule, 0 to 100.", valueName: "number"))
    var preemptions = 2

    @Option(help: ArgumentHelp("Work on so many threads at once, 1 to 64; each does a shard.", valueName: "number"))
    var threads = 1

    @Option(help: ArgumentHelp("Do only this share of the work, as 0/4.", valueName: "i/n"))
    var shard: ShardArgument?

    @Option(help: ArgumentHelp("Switch on a known bug, by name or number.", valueName: "bug"))
    var bug: String?

    @Option(help: ArgumentHelp("Keep a state folder there: stop and go on.", valueName: "folder"))
    var state: String?

    @Flag(help: "Print JSON.")
    var json = false

    func perform() throws -> CommandOutcome {
        let scenarios = all ? Scenario.all : try names.map { try scenario(named: $0) }
        guard !scenarios.isEmpty else {
            throw CommandFailure.usage("no scenario is named. Name one, or give --all. See `rampart scenarios`.")
        }
        guard all == names.isEmpty else { throw CommandFailure.usage("--all goes without names of scenarios.") }
        guard (0...100).contains(preemptions) else {
            throw CommandFailure.usage("--preemptions \(preemptions) is not 0 to 100.")
        }
        guard (1...64).contains(threads) else { throw CommandFailure.usage("--threads \(threads) is not 1 to 64.") }
        var settings = ExplorationSettings()
        settings.strategy = strategy
        settings.seed = seed
        settings.preemptionBound = preemptions
        settings.shard = shard.map { ($0.index, $0.count) }
        settings.bug = try bug.map { try knownBug($0) }
        settings.budget = budget.budget
        if case .time(let nanoseconds) = budget.budget {
            settings.budget = .time(max(nanoseconds / UInt64(scenarios.count), 1))
        }
        return try explore(scenarios, settings)
    }

    private func explore(_ scenarios: [Scenario], _ settings: ExplorationSettings) throws -> CommandOutcome {
        let folder = try state.map { try StateFolder($0) }
        Interruption.watch()
        var reports: [ExplorationReport] = []
        for (index, scenario) in scenarios.enumerated() where !Interruption.isRequested {
            let shards = Exploration.split(settings, among: threads)
            let kept = try shards.map { try folder?.load(scenario, $0) ?? ExplorationState(scenario, $0) }
            let count = scenarios.count
            let save: @Sendable (Int, ExplorationReport) throws -> Void = { shard, report in
                var soFar = kept[shard]
                soFar.add(report)
                try folder?.save(soFar)
            }
            let own = try Exploration.run(
                scenario, shards: shards, from: kept.map(\.position), checkpoint: save,
                progress: {
                    Progress.show($0.text(index + 1, of: count))
                    return !Interruption.isRequested
                })
            for (shard, report) in own.enumerated() { try save(shard, report) }
            reports.append(ExplorationReport(joining: own))
        }
        let isFound = reports.contains { $0.failure != nil }
        return CommandOutcome(
            output: json ? JSON(reports).indented() + "\n" : reports.map(\.text).joined(),
            diagnostics: Interruption.isRequested ? "Stopped.\(folder == nil ? "" : " The state is kept.")\n" : "",
            status: isFound ? .violation : .good)
    }
}

struct ExploreMergeCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Join what the shards of a state folder have done.",
        discussion: "Ends with status 1 if one of them has found something.")

    @Argument(help: ArgumentHelp("The state folder.", valueName: "folder"))
    var folder: String

    @Flag(help: "Print JSON.")
    var json = false

    func perform() throws -> CommandOutcome {
        let states = try StateFolder(folder, makingIt: false).loadAll()
        guard !states.isEmpty else { throw CommandFailure.usage("\(folder) holds no states of explorations.") }
        var lines: [String] = []
        var members: [JSON] = []
        var names: [String] = []
        for state in states where !names.contains(state.scenario) { names.append(state.scenario) }
        for name in names {
            let own = states.filter { $0.scenario == name }
            let schedules = own.reduce(0) { $0 + $1.schedules }
            let points = own.reduce(0) { $0 + $1.points }
            let tokens = own.flatMap(\.tokens)
            let seen = own.reduce(into: Set<UInt64>()) { $0.formUnion($1.states) }
            let digest = ExplorationState.digest(of: seen)
            let isDone = own.allSatisfy { $0.position.search == nil }
            lines.append(
                "\(padded(name, to: 28))\(schedules) schedules, \(points) points, \(own.count) shards, "
                    + "\(seen.count) states (digest \(digest))\(isDone ? ", every schedule of the bound" : "")")
            lines += tokens.map { "  FOUND: rampart replay \($0)" }
            members.append(
                .object([
                    ("scenario", .string(name)), ("schedules", .unsigned(schedules)), ("points", .unsigned(points)),
                    ("shards", .integer(own.count)), ("states", .integer(seen.count)),
                    ("digest", .string(digest)), ("exhausted", .boolean(isDone)),
                    ("tokens", .array(tokens.map { .string($0) })),
                ]))
        }
        return CommandOutcome(
            output: json ? JSON.array(members).indented() + "\n" : lines.joined(separator: "\n") + "\n",
            status: states.contains { !$0.tokens.isEmpty } ? .violation : .good)
    }
}
