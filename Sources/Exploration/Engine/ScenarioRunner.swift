// Runs one scenario again and again under different schedules, in one world that is put back after each run.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import Scheduling

/// What came of one run.
struct ScenarioRun {
    /// What went wrong.
    var problem: Problem?
    /// The picks.
    var trace: [UInt8]
    /// The schedule points.
    var steps: Int
}

/// Runs a scenario under one schedule after the other. A run that fails leaves a broken world: the next one builds another.
///
/// A runner belongs to one OS thread, and no access to its properties is open across a schedule point, so those that every
/// point touches are not checked for exclusive access.
final class ScenarioRunner {
    let scenario: Scenario
    let defects: KnownDefects
    /// States seen at points or at ends, by their hash; invariants are checked once for each.
    @safe @exclusivity(unchecked) private(set) var states: Set<UInt64> = []
    @safe @exclusivity(unchecked) private var endStates: Set<UInt64> = []
    /// Sees each point, after the checks, with the world at rest.
    @safe @exclusivity(unchecked) var observer: ((World, Explorer, SchedulePoint?) -> Void)?
    /// Whether `stateKey` is kept.
    @safe @exclusivity(unchecked) var keepsKeys = false
    private let maximumSteps: Int
    @safe @exclusivity(unchecked) private var world: World?
    @safe @exclusivity(unchecked) private var explorer: Explorer?
    @safe @exclusivity(unchecked) private var lastChange: UInt64 = .max
    @safe @exclusivity(unchecked) private var state: UInt64 = 0
    @safe @exclusivity(unchecked) private var problem: Problem?
    /// For each thread a hash of what it has seen of the world at each of its points: a thread's own variables follow from it.
    @safe @exclusivity(unchecked) private var histories: [UInt64] = []
    /// For each thread how it has gone round its loop of trying again.
    @safe @exclusivity(unchecked) private var rounds: [Round] = []
    private struct Round {
        /// A hash of what was seen since the loop last began anew, and of what was seen in the round before.
        var seen: UInt64 = 0
        var last: UInt64 = 0
        /// The thread's history where that round ended.
        var history: UInt64 = 0
    }

    init(_ scenario: Scenario, bug: KnownBug?, maximumSteps: Int = 20_000) {
        self.scenario = scenario
        defects = bug.map { KnownDefects($0.defect) } ?? []
        self.maximumSteps = maximumSteps
    }

    deinit { giveUp() }

    /// Runs the scenario once.
    ///
    /// - Throws: what building the world refuses
    func run(_ strategy: any ScheduleStrategy) throws -> ScenarioRun {
        defer { world?.log.end() }
        let (world, explorer) = try prepare(strategy)
        lastChange = .max
        problem = nil
        if keepsKeys {
            for index in histories.indices {
                histories[index] = UInt64(index)
                rounds[index] = Round()
            }
        }
        explorer.skipsQuietPoints = !keepsKeys && observer == nil
        let outcome = explorer.run()
        if outcome == .completed { checkEnd(world) } else { problem = problem ?? Problem(outcome.description) }
        if outcome == .completed { observer?(world, explorer, nil) }
        let run = ScenarioRun(problem: problem, trace: explorer.trace, steps: explorer.steps)
        if run.problem != nil { giveUp() }
        return run
    }

    /// The state of the world and of every thread, as a number.
    func stateKey() -> UInt64 {
        var hasher = StateHasher(state)
        for history in histories { hasher.combine(history) }
        hasher.combine(UInt64(truncatingIfNeeded: explorer?.currentThread ?? -1))
        return hasher.value
    }

    /// What the last problem says of the frame it is about; the world is as it was then.
    private(set) var lastWriter: String?

    private func prepare(_ strategy: any ScheduleStrategy) throws -> (World, Explorer) {
        if let world, let explorer {
            world.log.resume()
            world.restore()
            explorer.rewind(strategy)
            return (world, explorer)
        }
        let world = try World(scenario.configuration, defects: defects)
        try scenario.build(world)
        let explorer = Explorer(strategy: strategy, maximumSteps: maximumSteps)
        explorer.keepsThreads = true
        explorer.changeLog = world.log
        for thread in world.threads { explorer.spawn(thread.name, thread.body) }
        histories = world.threads.indices.map { UInt64($0) }
        rounds = world.threads.map { _ in Round() }
        world.onFailure = { [unowned self, unowned explorer] text in
            if problem == nil { note(Problem(text), world: self.world) }
            explorer.fail(text)
        }
        // Held strongly, which costs nothing at a point; `giveUp` breaks the cycle.
        explorer.onSchedulePoint = { [unowned self] point in reached(point, world, explorer) }
        self.world = world
        self.explorer = explorer
        world.seal()
        return (world, explorer)
    }

    private func giveUp() {
        world?.close()
        explorer?.onSchedulePoint = nil
        world = nil
        explorer = nil
    }

    private func reached(_ point: SchedulePoint, _ world: World, _ explorer: Explorer) {
        let change = world.log.changeCount
        let before = state
        if change != lastChange {
            lastChange = change
            state = world.stateHash
            if states.insert(state).inserted, let found = world.problem(.anywhere) {
                note(found, world: world)
                explorer.fail("at \(point): \(found)")
            }
        }
        if keepsKeys {
            let thread = explorer.currentThread
            if thread < histories.count { noteSeen(before, point, thread) }
        }
        observer?(world, explorer, point)
    }

    /// Goes on with a thread's history. A thread that tries again, and has gone round its loop twice in the same way and seen the
    /// same, is where it was a round ago: with no change by another thread it would go round for ever, and depth-first
    /// search, to which it would be a new state each time, would have no end.
    ///
    /// This holds for loops that keep no count of their rounds; those that wait at `.yield` keep none.
    private func noteSeen(_ state: UInt64, _ point: SchedulePoint, _ thread: Int) {
        histories[thread] = Self.combine(histories[thread], state, point)
        rounds[thread].seen = Self.combine(rounds[thread].seen, state, point)
        guard point == .yield else { return }
        if rounds[thread].seen == rounds[thread].last {
            histories[thread] = rounds[thread].history
        } else {
            rounds[thread].last = rounds[thread].seen
            rounds[thread].history = histories[thread]
        }
        rounds[thread].seen = 0
    }

    private static func combine(_ hash: UInt64, _ state: UInt64, _ point: SchedulePoint) -> UInt64 {
        var hasher = StateHasher(hash)
        hasher.combine(state)
        hasher.combine(UInt64(point.rawValue))
        return hasher.value
    }

    private func checkEnd(_ world: World) {
        state = world.stateHash
        if endStates.insert(state).inserted, let found = world.problem(.atRest) { return note(found, world: world) }
        do {
            for check in world.endChecks where problem == nil { try check() }
        } catch {
            note(Problem("a check at the end threw \(error)"), world: world)
        }
    }

    private func note(_ found: Problem, world: World?) {
        problem = found
        lastWriter = nil
        guard let world, let pfn = found.pfn, let entry = world.machine.rmp.effectiveEntry(pfn) else { return }
        let now = "the RMP entry of frame \(pfn) is \(entry.words)"
        if let write = world.machine.rmp.lastWrite(of: pfn, in: world.log) {
            let names = explorer?.threadNames ?? []
            let name = names.indices.contains(write.writer.thread) ? names[write.writer.thread] : "a thread"
            lastWriter =
                "\(now); \(name) wrote it last, after point \(write.writer.step); before, it was \(write.old.words)"
        } else {
            lastWriter = "\(now), as it was at the start"
        }
    }
}

extension RMPEntry {
    /// The entry in words.
    var words: String {
        guard assigned else { return immutable ? "the firmware's" : "the hypervisor's" }
        guard asid != .host else { return "the firmware's (\(state))" }
        return "\(pageSize) of ASID \(asid) at guest frame \(gfn)\(validated ? ", validated" : "")"
            + (immutable ? ", immutable" : "")
    }
}
