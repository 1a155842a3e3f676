// A point of an explored run at which more than one thread can go on, and how a pick there is written down.

/// What a strategy is told where more than one thread can run.
@frozen public struct ScheduleChoice: Hashable, Sendable {
    /// A bit for each thread that can run; at least two are set. Threads are numbered in the order in which they were made.
    public var runnable: UInt64
    /// The thread that runs now, or -1 if it cannot go on.
    public var current: Int
    /// The kind of point, or nil where the running thread waits or has ended.
    public var point: SchedulePoint?
    /// How many schedule points the run has reached.
    public var step: Int

    /// Makes a choice.
    @inlinable public init(runnable: UInt64, current: Int, point: SchedulePoint?, step: Int) {
        self.runnable = runnable
        self.current = current
        self.point = point
        self.step = step
    }

    /// How many threads can run.
    @inlinable public var count: Int { runnable.nonzeroBitCount }

    /// Whether going on with another thread interrupts one that could go on and did not ask for it.
    @inlinable public var isPreemption: Bool { current >= 0 && point != .yield }

    /// The thread that goes on when nobody minds: the running one while it can, the next one after a thread that only tries
    /// again, and the first one otherwise.
    @inlinable public var usual: Int {
        guard current >= 0 else { return runnable.trailingZeroBitCount }
        guard point == .yield else { return current }
        let later = runnable & ~((2 << UInt64(current)) &- 1)
        let others = runnable & ~(1 << UInt64(current))
        return later != 0 ? later.trailingZeroBitCount : others.trailingZeroBitCount
    }

    /// The thread at a place among those that can run.
    @inlinable public func thread(at place: Int) -> Int {
        var left = runnable
        for _ in 0..<place { left &= left &- 1 }
        return left.trailingZeroBitCount
    }

    /// The thread that a recorded number means: 0 is the usual one, the others follow in order. Numbers past the last mean
    /// the usual one.
    @inlinable public func thread(code: UInt8) -> Int {
        let usual = usual
        let others = runnable & ~(1 << UInt64(usual))
        guard code > 0, Int(code) <= others.nonzeroBitCount else { return usual }
        var left = others
        for _ in 1..<code { left &= left &- 1 }
        return left.trailingZeroBitCount
    }

    /// The number by which a pick is recorded.
    @inlinable public func code(of thread: Int) -> UInt8 {
        let usual = usual
        guard thread != usual else { return 0 }
        let others = runnable & ~(1 << UInt64(usual))
        return UInt8((others & ((1 << UInt64(thread)) &- 1)).nonzeroBitCount + 1)
    }
}
