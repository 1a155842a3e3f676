// Who picks the next thread at each schedule point of an explored run.

/// Picks the next thread at each point where more than one can run.
public protocol ScheduleStrategy {
    /// Picks one of the threads that can run.
    ///
    /// - Returns: a thread of `choice.runnable`; anything else means the usual one
    mutating func choose(_ choice: ScheduleChoice) -> Int
}

/// Picks evenly at random from a seed.
public struct RandomSchedule: ScheduleStrategy {
    private var entropy: EntropySource

    /// Makes a strategy that picks the same way for the same seed.
    public init(seed: UInt64) { entropy = EntropySource(seed: seed) }

    /// Picks any thread that can run.
    public mutating func choose(_ choice: ScheduleChoice) -> Int {
        let random = (entropy.next() >> 33) &* UInt64(choice.count)
        return choice.thread(at: Int(random >> 31))
    }
}

/// Picks as a recorded run did. Past the end of the record the usual thread goes on.
public struct ReplaySchedule: ScheduleStrategy {
    private let codes: [UInt8]
    private var next = 0

    /// Makes a strategy that repeats the picks.
    public init(_ codes: [UInt8]) { self.codes = codes }

    /// Picks the recorded thread.
    public mutating func choose(_ choice: ScheduleChoice) -> Int {
        guard next < codes.count else { return choice.usual }
        next += 1
        return choice.thread(code: codes[next - 1])
    }
}
