// Locks, conditions and sleep as explored threads see them.

extension Explorer {
    /// Takes a lock for the running thread.
    func lock(_ lock: Lock) {
        if checksLockOrder, let violation = LockOrder.violation(taking: lock) {
            fail("lock order: \(currentName ?? "a thread") \(violation)")
        }
        reach(.lockAcquire)
        acquire(lock)
    }

    /// Releases a lock that the running thread holds.
    func unlock(_ lock: Lock) {
        release(lock)
        reach(.lockRelease)
    }

    /// Releases the condition's lock, waits, and takes it again.
    ///
    /// - Returns: false if the deadline has passed
    func wait(for condition: Condition, until deadline: HostInstant?) -> Bool {
        reach(.wait)
        release(condition.lock)
        block(.waitingForCondition(condition), until: deadline)
        let timedOut = threads[currentNumber].timedOut
        acquire(condition.lock)
        return !timedOut
    }

    /// Wakes the threads that wait for a condition.
    func wakeAll(waitingFor condition: Condition) {
        for thread in threads {
            if case .waitingForCondition(let waited) = thread.state, waited === condition { wake(thread) }
        }
    }

    /// Waits until virtual time has come to the deadline.
    func sleep(until deadline: HostInstant) {
        reach(.wait)
        if deadline > virtualTime { block(.sleeping, until: deadline) }
    }

    private func acquire(_ lock: Lock) {
        while lock.exploredHolder != 0 { block(.waitingForLock(lock)) }
        lock.exploredHolder = currentNumber + 1
        LockOrder.didLock(lock)
    }

    private func release(_ lock: Lock) {
        guard lock.exploredHolder == currentNumber + 1, LockOrder.didUnlock(lock) else {
            abandon(.failed("\(currentName ?? "a thread") releases \(lock), which it does not hold"))
        }
        lock.exploredHolder = 0
        var left = wantsLock
        while left != 0 {
            let thread = threads[left.trailingZeroBitCount]
            left &= left - 1
            if case .waitingForLock(let waited) = thread.state, waited === lock { wake(thread) }
        }
    }
}
