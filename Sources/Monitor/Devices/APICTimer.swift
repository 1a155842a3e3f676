// The timer of a local APIC: counts down virtual time, once or again and again.

/// A counter of 32 bits that counts at the clock's rate, divided.
struct APICTimer {
    private let clock: VirtualClock
    private(set) var initialCount: UInt32 = 0
    private(set) var divideConfiguration: UInt32 = 0
    private var isRunning = false
    /// Clock ticks at which the present count began.
    private var startedAt: UInt64 = 0

    init(clock: VirtualClock) { self.clock = clock }

    /// Bits 3, 1 and 0 of the configuration: 2, 4 … 128, and 1.
    private var divisor: UInt64 {
        let code = divideConfiguration & 3 | (divideConfiguration >> 1 & 4)
        return code == 7 ? 1 : 2 << UInt64(code)
    }

    private var length: UInt64 { UInt64(initialCount) * divisor }

    var currentCount: UInt32 {
        guard isRunning else { return 0 }
        let elapsed = clock.ticks - startedAt
        guard elapsed < length else { return 0 }
        return UInt32((length - elapsed + divisor - 1) / divisor)
    }

    /// When the count is over, in clock ticks; nil when nothing counts.
    var deadline: UInt64? { isRunning ? startedAt + length : nil }

    mutating func start(_ count: UInt32) {
        initialCount = count
        isRunning = count != 0
        startedAt = clock.ticks
    }

    mutating func setDivide(_ value: UInt32) {
        // What is left goes on at the new rate.
        let done = UInt64(initialCount - currentCount)
        divideConfiguration = value & 0xb
        // Before time zero there is nothing: a count that began earlier ends later.
        startedAt = clock.ticks - min(clock.ticks, done * divisor)
    }

    /// Whether the count has ended since the last time. A count that is not periodic ends once.
    mutating func takeCompletions(isPeriodic: Bool) -> Bool {
        guard let deadline, clock.ticks >= deadline else { return false }
        if isPeriodic {
            startedAt += (clock.ticks - startedAt) / length * length
        } else {
            isRunning = false
        }
        return true
    }
}
