// The check of the lock order. Each thread, real or explored, has a record of the locks it holds.

import CPlatform

/// Checks and records which locks the running thread holds.
enum LockOrder {
    /// Whether real threads are checked. Explored threads always are.
    #if DEBUG
        static let checksFreeThreads = true
    #else
        static let checksFreeThreads = false
    #endif

    /// Why the running thread may not take the lock now, or nil if it may.
    static func violation(taking lock: Lock) -> String? {
        var highest: Int64 = 0
        guard let holder = unsafe cp_held_highest(cp_current_held_locks(), &highest) else { return nil }
        guard Int64(lock.rank.order) <= highest else { return nil }
        // SAFETY: a held lock is alive: its holder is inside `withLock` or has yet to call `unlock`.
        let other = unsafe Unmanaged<Lock>.fromOpaque(holder).takeUnretainedValue()
        if other === lock { return "takes \(lock), which it holds already" }
        return "takes \(lock) (order \(lock.rank.order)) while it holds \(other) (order \(other.rank.order))"
    }

    /// Records that the running thread holds the lock.
    static func didLock(_ lock: Lock) {
        let recorded = unsafe cp_held_push(
            cp_current_held_locks(), Int64(lock.rank.order), Unmanaged.passUnretained(lock).toOpaque())
        precondition(recorded, "a thread holds too many locks at once")
    }

    /// Records that the running thread has released the lock. Locks may be released in any order.
    ///
    /// - Returns: false if the thread did not hold the lock
    static func didUnlock(_ lock: Lock) -> Bool {
        unsafe cp_held_remove(cp_current_held_locks(), Unmanaged.passUnretained(lock).toOpaque())
    }
}
