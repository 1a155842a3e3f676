// An 8254 and port 0x61: three counters at 1.193182 MHz. Counter 0 makes interrupts, counter 2 is gated and read by port 0x61.
//
// Nothing counts in steps: a counter remembers when it was loaded, and what it holds follows from the time.

/// One counter.
///
/// - Spec: Intel 8254
/// - Deviates: BCD counts in binary; modes 1, 4 and 5 count and time as mode 0 does, without their strobes; in modes 2 and 3
///   a new count takes effect at once, not at the end of the period
struct TimerCounter {
    private var access: UInt8 = 3
    private(set) var mode: UInt8 = 0
    private var count: UInt32 = 0x1_0000
    /// The period at which the counter was loaded, and how far it had come when its gate fell.
    private var loadedAt: UInt64 = 0
    private var frozenAt: UInt64?
    private(set) var isLoaded = false
    private var writeLow: UInt8 = 0
    private var writesHigh = false
    private var readsHigh = false
    private var latched: UInt16?
    private var latchedStatus: UInt8?
    private(set) var gate = true

    /// The periods since the counter was loaded.
    private func elapsed(_ now: UInt64) -> UInt64 { (frozenAt ?? now) &- loadedAt }

    /// Whether the counter starts again at the end: modes 2 and 3.
    var isPeriodic: Bool { mode == 2 || mode == 3 }

    /// What the counting element holds.
    func value(_ now: UInt64) -> UInt16 {
        guard isLoaded else { return 0 }
        let elapsed = elapsed(now)
        let length = UInt64(count)
        switch mode {
        case 2: return UInt16(truncatingIfNeeded: length - elapsed % length)
        // Counts down by two, twice for each period.
        case 3: return UInt16(truncatingIfNeeded: (length - (elapsed * 2) % length) & ~1)
        default: return UInt16(truncatingIfNeeded: length &- elapsed)
        }
    }

    /// OUT.
    func output(_ now: UInt64) -> Bool {
        guard isLoaded else { return mode != 0 }
        let elapsed = elapsed(now)
        let length = UInt64(count)
        switch mode {
        case 2: return elapsed % length != length - 1
        case 3: return elapsed % length < (length + 1) / 2
        default: return elapsed >= length
        }
    }

    /// How many times OUT has risen to its end since the counter was loaded.
    func completions(_ now: UInt64) -> UInt64 {
        guard isLoaded else { return 0 }
        let elapsed = elapsed(now)
        return isPeriodic ? elapsed / UInt64(count) : (elapsed >= UInt64(count) ? 1 : 0)
    }

    /// The period at which the next one comes, or nil.
    func nextCompletion(_ now: UInt64) -> UInt64? {
        guard isLoaded, frozenAt == nil else { return nil }
        let done = completions(now)
        guard isPeriodic || done == 0 else { return nil }
        return loadedAt &+ (done + 1) * UInt64(count)
    }

    mutating func setGate(_ level: Bool, _ now: UInt64) {
        guard level != gate else { return }
        gate = level
        if level {
            if isPeriodic || mode == 1 || mode == 5 { loadedAt = now } else { loadedAt = now &- elapsed(now) }
            frozenAt = nil
        } else {
            frozenAt = now
        }
    }

    /// The control word for this counter.
    mutating func control(_ value: UInt8, _ now: UInt64) {
        guard value >> 4 & 3 != 0 else {
            latch(now)
            return
        }
        access = value >> 4 & 3
        // Modes 6 and 7 are modes 2 and 3.
        mode = value >> 1 & 7
        if mode > 5 { mode -= 4 }
        isLoaded = false
        writesHigh = false
        readsHigh = false
        latched = nil
        latchedStatus = nil
    }

    mutating func latch(_ now: UInt64) { if latched == nil { latched = value(now) } }

    mutating func latchStatus(_ now: UInt64) {
        guard latchedStatus == nil else { return }
        latchedStatus = (output(now) ? 0x80 : 0) | (isLoaded ? 0 : 0x40) | access << 4 | mode << 1
    }

    mutating func read(_ now: UInt64) -> UInt8 {
        if let status = latchedStatus {
            latchedStatus = nil
            return status
        }
        let value = latched ?? value(now)
        let isHigh = access == 2 || (access == 3 && readsHigh)
        if access == 3 { readsHigh.toggle() }
        if access != 3 || isHigh { latched = nil }
        return UInt8(truncatingIfNeeded: isHigh ? value >> 8 : value)
    }

    mutating func write(_ value: UInt8, _ now: UInt64) {
        switch access {
        case 1: load(UInt16(value), now)
        case 2: load(UInt16(value) << 8, now)
        default:
            if writesHigh { load(UInt16(value) << 8 | UInt16(writeLow), now) } else { writeLow = value }
            // In mode 0 the first byte stops the count.
            if !writesHigh, mode == 0 { isLoaded = false }
            writesHigh.toggle()
        }
    }

    private mutating func load(_ value: UInt16, _ now: UInt64) {
        count = value == 0 ? 0x1_0000 : UInt32(value)
        loadedAt = now
        frozenAt = gate ? nil : now
        isLoaded = true
    }
}

/// The three counters, and port 0x61.
public final class IntervalTimer: PortDevice {
    /// Periods in a second.
    public static let frequency: UInt64 = 1_193_182

    /// 0x40 to 0x43, and 0x61.
    public let ports: [ClosedRange<UInt16>] = [0x40...0x43, 0x61...0x61]
    /// Counter 0's output: IRQ 0.
    public let interrupt = OutputLine()
    private let clock: VirtualClock
    private var counters = [TimerCounter(), TimerCounter(), TimerCounter()]
    private var speaker: UInt8 = 0
    private var seenCompletions: UInt64 = 0

    /// Makes a timer whose counters are not loaded; counter 2's gate is low, and counter 0's output high, as firmware leaves
    /// it, so that choosing a mode whose output begins high is no edge.
    public init(clock: VirtualClock) {
        self.clock = clock
        counters[2].setGate(false, 0)
        interrupt.drive(true)
    }

    private var now: UInt64 { clock.periods(of: Self.frequency, in: clock.ticks) }

    /// Makes the interrupts that are due. Several that were missed are one.
    public func poll() {
        let done = counters[0].completions(now)
        guard done != seenCompletions else { return }
        let isDue = done > seenCompletions
        seenCompletions = done
        guard isDue else { return }
        interrupt.drive(false)
        interrupt.drive(true)
    }

    /// When `poll` next has something to do, in the clock's ticks; nil for never.
    public var nextDeadline: UInt64? {
        counters[0].nextCompletion(now).map { clock.ticks(for: $0, of: Self.frequency) }
    }

    /// IN.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        poll()
        switch port {
        case 0x40...0x42: return UInt32(counters[Int(port - 0x40)].read(now))
        case 0x61:
            // The refresh bit toggles every 15 microseconds, 18 periods; OUT of counter 2 is bit 5.
            let refresh: UInt8 = now / 18 & 1 == 0 ? 0 : 0x10
            return UInt32(speaker | refresh | (counters[2].output(now) ? 0x20 : 0))
        default: return 0xff
        }
    }

    /// OUT.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        poll()
        let value = UInt8(truncatingIfNeeded: value)
        switch port {
        case 0x40...0x42: counters[Int(port - 0x40)].write(value, now)
        case 0x43: control(value)
        default:
            speaker = value & 3
            counters[2].setGate(value & 1 != 0, now)
        }
        if port == 0x40 || port == 0x43 { restart() }
    }

    private func control(_ value: UInt8) {
        let index = Int(value >> 6)
        guard index == 3 else { return counters[index].control(value, now) }
        // Read-back: bits 1 to 3 choose counters, a zero in bit 5 latches counts, one in bit 4 states.
        for index in 0..<3 where value >> UInt8(index + 1) & 1 != 0 {
            if value & 0x20 == 0 { counters[index].latch(now) }
            if value & 0x10 == 0 { counters[index].latchStatus(now) }
        }
    }

    private func restart() {
        seenCompletions = counters[0].completions(now)
        if !counters[0].isLoaded { interrupt.drive(counters[0].mode != 0) }
    }
}
