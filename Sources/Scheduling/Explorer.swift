// Runs threads one at a time on the calling OS thread, and switches between them at schedule points only.
// Left out: preemption between points, and weak memory order. A switch costs some tens of nanoseconds.

import CPlatform

/// Runs a set of threads under a schedule that a strategy picks and that can be repeated.
///
/// Explored threads are coroutines on the OS thread that calls `run`; code on other OS threads is not affected.
/// A run that does not complete abandons its unfinished threads: their stacks are given back, but objects that only those
/// stacks refer to are never released, and locks that they hold stay held. Do not use either again.
@safe public final class Explorer {
    // Properties that every point touches are not checked for exclusive access: an explorer and its threads run on one OS
    // thread, and no access to one of them is open across a switch.

    /// Runs at each schedule point, on the thread that reached it, with scheduling off: no other thread runs meanwhile,
    /// and locks taken inside do not wait. Report a breach with `fail`.
    @safe @exclusivity(unchecked) public var onSchedulePoint: ((SchedulePoint) -> Void)?
    /// Whether taking a lock out of order fails the run.
    @safe @exclusivity(unchecked) public var checksLockOrder = true
    /// Is told who writes, if given.
    public var changeLog: ChangeLog? { didSet { unsafe hot.pointee.log = unsafe changeLog?.log } }
    /// Leave the hook out at points up to which the change log has noted nothing new.
    @safe @exclusivity(unchecked) public var skipsQuietPoints = false
    /// Whether the threads can be run again: `rewind` starts them over.
    public var keepsThreads = false
    /// The picks made so far where more than one thread could run, 0 for the usual thread: `Explorer(replaying:)` repeats the
    /// run from them.
    @safe @exclusivity(unchecked) public private(set) var trace: [UInt8] = []
    /// The schedule points reached so far.
    public var steps: Int { unsafe hot.pointee.steps }
    /// The time that the threads see.
    public private(set) var virtualTime = HostInstant(nanoseconds: 0)

    @safe @exclusivity(unchecked) private(set) var threads: [ExploredThread] = []
    /// What every point touches, in memory of its own: no tracking of accesses, no reference counts.
    @safe private struct Hot {
        var steps = 0
        /// The number of the thread that runs, or -1.
        var current = -1
        /// A bit for each thread that can run.
        var runnable: UInt64 = 0
        /// A bit for each thread that waits for a lock.
        var wantsLock: UInt64 = 0
        var log: UnsafeMutablePointer<cp_undo_log>?
        /// The changes that the hook has seen.
        var seen: UInt64 = .max
    }
    private let hot: UnsafeMutablePointer<Hot>
    /// The coroutine and the held locks of each thread.
    private let flows: UnsafeMutablePointer<Flow>
    @safe private struct Flow {
        var coroutine: UnsafeMutablePointer<cp_coroutine>?
        var held: UnsafeMutablePointer<cp_held_locks>?
    }
    /// The number of the thread that runs, or -1.
    private(set) var currentNumber: Int {
        get { unsafe hot.pointee.current }
        set { unsafe hot.pointee.current = newValue }
    }
    private var runnable: UInt64 {
        get { unsafe hot.pointee.runnable }
        set { unsafe hot.pointee.runnable = newValue }
    }
    /// A bit for each thread that waits for a lock.
    var wantsLock: UInt64 {
        get { unsafe hot.pointee.wantsLock }
        set { unsafe hot.pointee.wantsLock = newValue }
    }
    @safe @exclusivity(unchecked) private var strategy: any ScheduleStrategy
    private let maximumSteps: Int
    @safe @exclusivity(unchecked) private var outcome: ExplorationOutcome?
    /// How many threads there were at the start of the run.
    private var firstCount = 0
    @safe @exclusivity(unchecked) private var isInHook = false
    @safe @exclusivity(unchecked) private var hookFailure: String?
    private let main: UnsafeMutablePointer<cp_coroutine>

    /// Makes an explorer that asks `strategy` at each point.
    public init(strategy: any ScheduleStrategy, maximumSteps: Int = 1_000_000) {
        self.strategy = strategy
        self.maximumSteps = maximumSteps
        unsafe main = .allocate(capacity: 1)
        unsafe main.initialize(to: cp_coroutine())
        unsafe hot = .allocate(capacity: 1)
        unsafe hot.initialize(to: Hot())
        unsafe flows = .allocate(capacity: 64)
        unsafe flows.initialize(repeating: Flow(), count: 64)
    }

    /// Makes an explorer that picks at random, the same way for the same seed.
    public convenience init(seed: UInt64, maximumSteps: Int = 1_000_000) {
        self.init(strategy: RandomSchedule(seed: seed), maximumSteps: maximumSteps)
    }

    /// Makes an explorer that repeats a recorded run.
    public convenience init(replaying trace: [UInt8], maximumSteps: Int = 1_000_000) {
        self.init(strategy: ReplaySchedule(trace), maximumSteps: maximumSteps)
    }

    deinit {
        unsafe main.deallocate()
        unsafe hot.deallocate()
        unsafe flows.deallocate()
    }

    /// The explorer whose thread is running on this OS thread, if any.
    public static var current: Explorer? {
        guard let pointer = unsafe cp_current_explorer() else { return nil }
        // SAFETY: `run` sets the pointer while it runs threads and clears it after.
        return unsafe Unmanaged<Explorer>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// The name of the thread that runs.
    public var currentName: String? { currentNumber < 0 ? nil : threads[currentNumber].name }

    /// The number of the thread that runs, or that was the last to run; -1 before the first.
    public var currentThread: Int { currentNumber }

    /// The names of the threads.
    public var threadNames: [String] { threads.map(\.name) }

    /// Adds a thread, before the run or from one of its threads. At most 64 threads.
    public func spawn(_ name: String, _ body: @escaping () throws -> Void) {
        precondition(threads.count < 64, "too many explored threads")
        let thread = ExploredThread(number: threads.count, name: name, explorer: self, body: body)
        threads.append(thread)
        noteFlow(of: thread)
        runnable |= 1 << UInt64(thread.number)
    }

    /// Starts the threads over for another run, which needs `keepsThreads`. Threads made by threads are forgotten.
    public func rewind(_ strategy: any ScheduleStrategy) {
        precondition(keepsThreads && currentNumber >= 0, "threads that were kept")
        threads.removeLast(threads.count - firstCount)
        self.strategy = strategy
        for thread in threads {
            thread.start()
            noteFlow(of: thread)
        }
        runnable = threads.count == 64 ? ~0 : 1 << UInt64(threads.count) - 1
        trace.removeAll(keepingCapacity: true)
        wantsLock = 0
        unsafe hot.pointee.steps = 0
        unsafe hot.pointee.seen = .max
        virtualTime = HostInstant(nanoseconds: 0)
        currentNumber = -1
        outcome = nil
        hookFailure = nil
    }

    /// Runs the threads until all have ended or the run fails. An explorer runs once, or once after each `rewind`.
    public func run() -> ExplorationOutcome {
        precondition(outcome == nil && currentNumber < 0, "an explorer runs once")
        precondition(Explorer.current == nil, "an explored thread starts an exploration")
        firstCount = threads.count
        guard let first = pick(at: nil) else { return .completed }
        var mark = cp_access_mark()
        // SAFETY: the mark stays in place until its end; `self` outlives the threads, which run only inside this call.
        unsafe withUnsafeMutablePointer(to: &mark) { mark in
            unsafe cp_access_mark_begin(mark)
            unsafe cp_set_current_explorer(Unmanaged.passUnretained(self).toOpaque())
            currentNumber = first
            noteWriter()
            unsafe cp_set_held_locks(threads[first].held)
            unsafe cp_coroutine_switch(main, threads[first].coroutine)
            cp_set_held_locks(nil)
            cp_set_current_explorer(nil)
            if outcome == .completed {
                unsafe cp_access_mark_end(mark)
            } else {
                unsafe cp_access_mark_end_dropping_later(mark)
            }
        }
        for thread in threads { thread.releaseStack(keepingBody: keepsThreads) }
        if !keepsThreads { onSchedulePoint = nil }
        return outcome ?? .completed
    }

    /// Ends the run as failed. Called on an explored thread it does not return; called in `onSchedulePoint` it does, and
    /// the run ends when the hook returns.
    public func fail(_ reason: String) {
        if isInHook {
            hookFailure = hookFailure ?? reason
        } else if Explorer.current === self {
            abandon(.failed(reason))
        }
    }

    // MARK: Switching

    /// Counts a point, checks what the hook checks, and lets the strategy pick who goes on.
    func reach(_ point: SchedulePoint) {
        countStep()
        if !isQuiet, let hook = onSchedulePoint { runHook(hook, point) }
        if let next = pick(at: point) { resume(next) }
    }

    /// Suspends the running thread until it is woken or its deadline comes.
    func block(_ state: ExploredThread.State, until deadline: HostInstant? = nil) {
        countStep()
        let thread = threads[currentNumber]
        thread.state = state
        if case .waitingForLock = state { wantsLock |= 1 << UInt64(thread.number) }
        thread.deadline = deadline
        thread.timedOut = false
        runnable &= ~(1 << UInt64(thread.number))
        guard let next = pick(at: nil) else { abandon(.deadlock(situation)) }
        resume(next)
    }

    /// Makes a thread able to run again.
    func wake(_ thread: ExploredThread) {
        thread.state = .runnable
        thread.deadline = nil
        wantsLock &= ~(1 << UInt64(thread.number))
        runnable |= 1 << UInt64(thread.number)
    }

    /// Takes a thread that has come to its end out of the schedule; returns who goes on.
    func threadEnded(_ thread: ExploredThread, failure: String?) -> UnsafeMutablePointer<cp_coroutine> {
        thread.state = .ended
        runnable &= ~(1 << UInt64(thread.number))
        if let failure {
            outcome = .failed(failure)
        } else if unsafe thread.held.pointee.count != 0 {
            outcome = .failed("\(thread.name) has ended and holds a lock")
        } else if let next = pick(at: nil), let coroutine = unsafe threads[next].coroutine {
            currentNumber = next
            noteWriter()
            unsafe cp_set_held_locks(threads[next].held)
            return unsafe coroutine
        } else {
            outcome = runnable == 0 && allEnded ? .completed : .deadlock(situation)
        }
        return unsafe main
    }

    /// Ends the run and never comes back to the running thread.
    func abandon(_ outcome: ExplorationOutcome) -> Never {
        self.outcome = outcome
        unsafe cp_coroutine_switch(threads[currentNumber].coroutine, main)
        preconditionFailure("an abandoned thread was resumed")
    }

    private func resume(_ next: Int) {
        guard next != currentNumber else { return }
        let from = unsafe flows[currentNumber].coroutine
        currentNumber = next
        noteWriter()
        unsafe cp_set_held_locks(flows[next].held)
        unsafe cp_coroutine_switch(from, flows[next].coroutine)
    }

    private func noteFlow(of thread: ExploredThread) {
        unsafe flows[thread.number] = unsafe Flow(coroutine: thread.coroutine, held: thread.held)
    }

    private func countStep() {
        unsafe hot.pointee.steps += 1
        if steps > maximumSteps { abandon(.tooManySteps) }
        noteWriter()
    }

    private func noteWriter() {
        guard let log = unsafe hot.pointee.log else { return }
        unsafe log.pointee.writer = ChangeLog.Writer(thread: currentNumber, step: steps).rawValue
    }

    /// Whether the hook has nothing new to see.
    private var isQuiet: Bool {
        guard skipsQuietPoints, let log = unsafe hot.pointee.log else { return false }
        let changes = unsafe log.pointee.changes
        if unsafe hot.pointee.seen == changes { return true }
        unsafe hot.pointee.seen = changes
        return false
    }

    private func runHook(_ hook: (SchedulePoint) -> Void, _ point: SchedulePoint) {
        cp_set_current_explorer(nil)
        cp_set_held_locks(nil)
        isInHook = true
        hook(point)
        isInHook = false
        unsafe cp_set_held_locks(flows[currentNumber].held)
        unsafe cp_set_current_explorer(Unmanaged.passUnretained(self).toOpaque())
        if let hookFailure { abandon(.failed(hookFailure)) }
    }

    /// The thread to run next, or nil if none can. Virtual time moves only when every thread waits.
    private func pick(at point: SchedulePoint?) -> Int? {
        if runnable == 0 { wakeNextSleeper() }
        guard runnable != 0 else { return nil }
        if runnable & (runnable &- 1) == 0 { return runnable.trailingZeroBitCount }
        let isCurrent = currentNumber >= 0 && runnable >> UInt64(currentNumber) & 1 == 1
        let choice = ScheduleChoice(
            runnable: runnable, current: isCurrent ? currentNumber : -1, point: point, step: steps)
        var picked = strategy.choose(choice)
        if picked < 0 || picked > 63 || runnable >> UInt64(picked) & 1 == 0 { picked = choice.usual }
        trace.append(choice.code(of: picked))
        return picked
    }

    private func wakeNextSleeper() {
        guard let next = threads.compactMap(\.deadline).min() else { return }
        virtualTime = max(virtualTime, next)
        for thread in threads where thread.deadline == next {
            wake(thread)
            thread.timedOut = true
        }
    }

    private var allEnded: Bool { threads.allSatisfy { if case .ended = $0.state { true } else { false } } }

    /// Who waits for what, and who holds it.
    private var situation: String {
        threads.compactMap { thread in
            switch thread.state {
            case .ended: nil
            case .waitingForLock(let lock) where lock.exploredHolder > 0:
                "\(thread.situation) held by \(threads[lock.exploredHolder - 1].name)"
            case .runnable, .waitingForLock, .waitingForCondition, .sleeping: thread.situation
            }
        }.joined(separator: "; ")
    }
}

/// Stops where the code under test has broken a rule of its own and cannot go on: an explored run ends as failed, any other
/// stops the program.
public func stopForGood(_ reason: String) -> Never {
    Explorer.current?.fail(reason)
    preconditionFailure(reason)
}
