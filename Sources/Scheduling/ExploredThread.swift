// One thread of an explored run: a coroutine, what it waits for, and the locks it holds.

import CPlatform

/// One thread of an explored run.
///
/// All explored threads of an explorer run on one OS thread and touch each other's state between switches only, so nothing
/// here is checked for exclusive access.
@safe final class ExploredThread {
    /// What the thread waits for.
    enum State {
        case runnable
        case waitingForLock(Lock)
        case waitingForCondition(Condition)
        case sleeping
        case ended
    }

    let number: Int
    let name: String
    @safe @exclusivity(unchecked) var state = State.runnable
    /// When to stop waiting, if ever.
    @safe @exclusivity(unchecked) var deadline: HostInstant?
    /// Whether the last wait ended by its deadline.
    @safe @exclusivity(unchecked) var timedOut = false
    /// The locks that it holds.
    let held: UnsafeMutablePointer<cp_held_locks>
    /// The suspended flow of control; nil once its stack is given back.
    @exclusivity(unchecked) private(set) var coroutine: UnsafeMutablePointer<cp_coroutine>?
    @safe @exclusivity(unchecked) private var body: (() throws -> Void)?
    private unowned let explorer: Explorer

    init(number: Int, name: String, explorer: Explorer, body: @escaping () throws -> Void) {
        self.number = number
        self.name = name
        self.explorer = explorer
        self.body = body
        unsafe held = .allocate(capacity: 1)
        unsafe held.initialize(to: cp_held_locks())
        start()
    }

    /// Makes the thread ready to run its body from the start.
    func start() {
        state = .runnable
        deadline = nil
        timedOut = false
        unsafe held.pointee.count = 0
        unsafe coroutine = cp_coroutine_create(
            { argument in
                guard let argument = unsafe argument else { preconditionFailure("a coroutine without its thread") }
                // SAFETY: the explorer keeps its threads until no coroutine of it runs again.
                return unsafe Unmanaged<ExploredThread>.fromOpaque(argument).takeUnretainedValue().runToEnd()
            }, Unmanaged.passUnretained(self).toOpaque())
        precondition(unsafe coroutine != nil, "the system refuses a stack for an explored thread")
    }

    deinit {
        releaseStack()
        unsafe held.deallocate()
    }

    /// Gives the stack back, whether the thread has ended or not, and lets go of the body unless it is to run again.
    func releaseStack(keepingBody: Bool = false) {
        if let coroutine = unsafe coroutine { unsafe cp_coroutine_destroy(coroutine) }
        unsafe coroutine = nil
        if !keepingBody { body = nil }
    }

    /// Runs the body; returns who goes on, so that no frame of Swift is alive at the last switch.
    private func runToEnd() -> UnsafeMutablePointer<cp_coroutine>? {
        do {
            try body?()
            return unsafe explorer.threadEnded(self, failure: nil)
        } catch {
            return unsafe explorer.threadEnded(self, failure: "\(name) threw \(error)")
        }
    }

    /// What the thread waits for, in words.
    var situation: String {
        switch state {
        case .runnable: "\(name) can run"
        case .waitingForLock(let lock): "\(name) waits for the lock \(lock)"
        case .waitingForCondition(let condition): "\(name) waits for a condition under \(condition.lock)"
        case .sleeping: "\(name) sleeps"
        case .ended: "\(name) has ended"
        }
    }
}
