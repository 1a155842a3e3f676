// Waiting for something that another thread does under a lock.

import Glibc

/// A condition that threads wait for while they hold a lock.
///
/// A waiter can wake with nothing changed: wait in a loop, or with `wait(until:)` and a test.
@safe public final class Condition: @unchecked Sendable {
    /// The lock that guards what is waited for.
    public let lock: Lock
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    /// Makes a condition of what `lock` guards.
    public init(_ lock: Lock) {
        self.lock = lock
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let status = unsafe pthread_cond_init(condition, &attributes)
        precondition(status == 0, "the system refuses a condition")
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe condition.deallocate()
    }

    /// Releases the lock, waits to be woken, and takes the lock again.
    public func wait() {
        if let explorer = Explorer.current {
            _ = explorer.wait(for: self, until: nil)
        } else {
            _ = unsafe lock.freeWait(condition, until: nil)
        }
    }

    /// Waits, but not past a deadline.
    ///
    /// - Returns: false if the deadline has passed
    public func wait(deadline: HostInstant) -> Bool {
        if let explorer = Explorer.current { return explorer.wait(for: self, until: deadline) }
        return unsafe lock.freeWait(condition, until: deadline)
    }

    /// Waits until `test`, which runs with the lock held, is true.
    public func wait(until test: () -> Bool) {
        while !test() { wait() }
    }

    /// Wakes all that wait. The caller holds the lock.
    public func wakeAll() {
        if let explorer = Explorer.current {
            explorer.wakeAll(waitingFor: self)
        } else {
            unsafe pthread_cond_broadcast(condition)
        }
    }
}
