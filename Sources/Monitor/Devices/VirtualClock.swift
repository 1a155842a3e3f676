// Time as the guest sees it: a count of instructions, and nothing else. Two runs that execute the same have the same time.

/// A clock that moves when guest code runs.
///
/// - Deviates: every instruction takes the same time
public final class VirtualClock {
    /// How many ticks make a second: one for each instruction.
    public let frequency: UInt64
    /// Ticks since the machine was switched on.
    public var ticks: UInt64 { passed &+ (progress?() ?? 0) }
    private var passed: UInt64 = 0
    /// How far the processor that is running has come since time last passed.
    public var progress: (() -> UInt64)?

    /// Makes a clock at zero; by default an instruction takes a nanosecond.
    public init(frequency: UInt64 = 1_000_000_000) {
        precondition(frequency > 0, "a clock without ticks")
        self.frequency = frequency
    }

    /// Lets time pass.
    public func advance(by ticks: UInt64) { passed &+= ticks }

    /// Lets time pass until `ticks`, unless it has passed already: how an idle machine waits for a timer.
    public func advance(to ticks: UInt64) { passed = max(passed, ticks) }

    /// The number of whole periods of another frequency in a number of ticks.
    public func periods(of other: UInt64, in ticks: UInt64) -> UInt64 {
        let product = ticks.multipliedFullWidth(by: other)
        // At 2^64 periods and more the count wraps, as a counter of 64 bits does.
        return frequency.dividingFullWidth((product.high % frequency, product.low)).quotient
    }

    /// The least number of ticks in which so many periods of another frequency have passed.
    public func ticks(for periods: UInt64, of other: UInt64) -> UInt64 {
        precondition(other > 0, "a counter without ticks")
        let product = periods.multipliedFullWidth(by: frequency)
        guard product.high < other else { return .max }
        let (quotient, remainder) = other.dividingFullWidth(product)
        return remainder == 0 ? quotient : (quotient == .max ? .max : quotient + 1)
    }
}

/// What a device's output line is connected to. It is told of changes only.
public final class OutputLine {
    /// Whether the line is high.
    public private(set) var isHigh = false
    /// What hears of a change.
    public var onChange: ((Bool) -> Void)?

    /// Makes a line that is low and goes nowhere.
    public init() {}

    /// Drives the line.
    func drive(_ level: Bool) {
        guard level != isHigh else { return }
        isHigh = level
        onChange?(level)
    }
}
