// Who picks the next thread at each schedule point of an explored run.

/// Picks the next thread at each point where more than one can run.
public protocol ScheduleStrategy {
    /// Picks one of the threads that can run.
    ///
    /// - Parameters:
    ///   - count: how many can run, at least 2; they are in the order in which they were made
    ///   - current: the place among them of the thread that runs now, or nil if it cannot go on
    ///   - point: the kind of point, or nil where the running thread waits or has ended
    /// - Returns: a place among them; it is taken modulo `count`
    mutating func choose(among count: Int, current: Int?, at point: SchedulePoint?) -> Int
}

/// Picks evenly at random from a seed.
public struct RandomSchedule: ScheduleStrategy {
    private var entropy: EntropySource

    /// Makes a strategy that picks the same way for the same seed.
    public init(seed: UInt64) { entropy = EntropySource(seed: seed) }

    /// Picks any thread that can run.
    public mutating func choose(among count: Int, current: Int?, at point: SchedulePoint?) -> Int {
        Int((entropy.next() >> 33) % UInt64(count))
    }
}

/// Picks as a recorded run did.
///
/// Past the end of the record the running thread goes on while it can, then the first that can.
public struct ReplaySchedule: ScheduleStrategy {
    private var choices: ArraySlice<UInt8>

    /// Makes a strategy that repeats the choices.
    public init(_ choices: [UInt8]) { self.choices = choices[...] }

    /// Picks the recorded thread.
    public mutating func choose(among count: Int, current: Int?, at point: SchedulePoint?) -> Int {
        if let choice = choices.popFirst() { return Int(choice) }
        return current ?? 0
    }
}
