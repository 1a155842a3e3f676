// Mutual exclusion with two drivers: a mutex of the system for real threads, a turn in the schedule for explored ones.

import CPlatform
import Glibc

/// A lock with a place in the lock order.
///
/// It is not recursive, and its holder releases it. Real threads and explored threads may use one lock, but not at the
/// same time: set up before `Explorer.run`, check after.
@safe public final class Lock: @unchecked Sendable, CustomStringConvertible {
    /// The lock's place in the order.
    public let rank: LockRank
    /// Which of several locks of one rank this is, for messages.
    public let label: String
    /// The explored thread that holds the lock: its number plus one, or 0. Only explored threads touch it.
    /// Explored threads of one OS thread take turns, so its accesses are not checked for exclusiveness.
    @safe @exclusivity(unchecked) var exploredHolder = 0
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// Makes a lock that nobody holds.
    public init(_ rank: LockRank, label: String = "") {
        self.rank = rank
        self.label = label
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        let status = unsafe pthread_mutex_init(mutex, nil)
        precondition(status == 0, "the system refuses a mutex")
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Takes the lock and waits for it if another thread holds it.
    ///
    /// Taking a lock out of order ends an explored run as failed, and stops the program on real threads in debug builds.
    public func lock() {
        if let explorer = Explorer.current {
            explorer.lock(self)
        } else {
            if LockOrder.checksFreeThreads, let violation = LockOrder.violation(taking: self) {
                preconditionFailure("lock order: a thread \(violation)")
            }
            unsafe pthread_mutex_lock(mutex)
            if LockOrder.checksFreeThreads { LockOrder.didLock(self) }
        }
    }

    /// Releases the lock. Only its holder may.
    public func unlock() {
        if let explorer = Explorer.current {
            explorer.unlock(self)
        } else {
            if LockOrder.checksFreeThreads {
                precondition(LockOrder.didUnlock(self), "a thread releases a lock that it does not hold")
            }
            unsafe pthread_mutex_unlock(mutex)
        }
    }

    /// Runs `body` with the lock held.
    @inlinable
    public func withLock<Result: ~Copyable, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        lock()
        defer { unlock() }
        return try body()
    }

    /// Whether the running thread holds the lock. Known for explored threads, and in debug builds for real ones.
    public var isHeldByCurrentThread: Bool? {
        if let explorer = Explorer.current { return exploredHolder == explorer.currentNumber + 1 }
        guard LockOrder.checksFreeThreads else { return nil }
        return unsafe cp_held_contains(cp_current_held_locks(), Unmanaged.passUnretained(self).toOpaque())
    }

    /// The name of the rank, with the label.
    public var description: String { label.isEmpty ? rank.name : "\(rank.name) \(label)" }

    /// Waits on a condition of the system with this lock's mutex, which the running real thread holds.
    ///
    /// - Returns: false if the deadline has passed
    func freeWait(_ condition: UnsafeMutablePointer<pthread_cond_t>, until deadline: HostInstant?) -> Bool {
        if LockOrder.checksFreeThreads { precondition(LockOrder.didUnlock(self), "a waiting thread holds the lock") }
        var status: Int32 = 0
        if let deadline {
            var time = timespec(
                tv_sec: Int(deadline.nanoseconds / 1_000_000_000), tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
            status = unsafe pthread_cond_timedwait(condition, mutex, &time)
        } else {
            status = unsafe pthread_cond_wait(condition, mutex)
        }
        if LockOrder.checksFreeThreads { LockOrder.didLock(self) }
        return status != ETIMEDOUT
    }
}
