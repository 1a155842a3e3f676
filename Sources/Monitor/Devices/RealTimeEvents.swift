// What a real-time clock interrupts for: a period, the end of an update each second, an alarm. All of it follows from the time.

/// The three events of a clock and their flags, as in registers B and C.
struct RealTimeEvents {
    static let periodic: UInt8 = 0x40
    static let alarm: UInt8 = 0x20
    static let update: UInt8 = 0x10

    /// A time of day; nil matches any.
    struct Alarm: Hashable {
        var second, minute, hour: Int?

        func matches(_ secondOfDay: UInt64) -> Bool {
            let time = Int(secondOfDay)
            return (second ?? time % 60) == time % 60 && (minute ?? time / 60 % 60) == time / 60 % 60
                && (hour ?? time / 3600) == time / 3600
        }
    }

    private let epoch: UInt64
    private let frequency: UInt64
    /// PF, AF and UF of register C.
    private(set) var flags: UInt8 = 0
    private var rate: UInt8 = 6
    private var seenPeriods: UInt64 = 0
    private var seenSeconds: UInt64 = 0
    private static let day: UInt64 = 86_400

    init(epoch: UInt64, frequency: UInt64) {
        self.epoch = epoch
        self.frequency = frequency
    }

    /// How often the periodic event comes in a second; 0 for never. The two fastest rates repeat two slower ones.
    private var periodsInSecond: UInt64 {
        switch rate {
        case 0: 0
        case 1, 2: 512 >> UInt64(rate)
        default: 65_536 >> UInt64(rate)
        }
    }

    private func periods(_ clock: VirtualClock) -> UInt64 {
        periodsInSecond == 0 ? 0 : clock.periods(of: periodsInSecond, in: clock.ticks)
    }

    /// Register A is written.
    mutating func restartPeriod(at clock: VirtualClock, rate: UInt8) {
        self.rate = rate
        seenPeriods = periods(clock)
    }

    /// Sets the flags of what has happened.
    mutating func note(_ clock: VirtualClock, _ alarm: Alarm) {
        let now = periods(clock)
        if now > seenPeriods { flags |= Self.periodic }
        seenPeriods = now
        let second = clock.ticks / frequency
        guard second > seenSeconds else { return }
        flags |= Self.update
        let first = max(seenSeconds + 1, second > Self.day ? second - Self.day : 0)
        if (first...second).contains(where: { alarm.matches((epoch &+ $0) % Self.day) }) { flags |= Self.alarm }
        seenSeconds = second
    }

    /// Reads register C, which clears it.
    mutating func takeFlags(enabled: UInt8) -> UInt8 {
        defer { flags = 0 }
        return flags | (flags & enabled & 0x70 != 0 ? 0x80 : 0)
    }

    /// When the next event comes that is enabled and not flagged already, in the clock's ticks.
    func nextDeadline(_ clock: VirtualClock, _ alarm: Alarm, enabled: UInt8) -> UInt64? {
        let wanted = enabled & ~flags
        var deadlines: [UInt64] = []
        if wanted & Self.periodic != 0, periodsInSecond > 0 {
            deadlines.append(clock.ticks(for: seenPeriods + 1, of: periodsInSecond))
        }
        if wanted & Self.update != 0 { deadlines.append((seenSeconds + 1) * frequency) }
        if wanted & Self.alarm != 0 {
            let next = (seenSeconds + 1...seenSeconds + Self.day).first { alarm.matches((epoch &+ $0) % Self.day) }
            if let next { deadlines.append(next * frequency) }
        }
        return deadlines.min()
    }
}
