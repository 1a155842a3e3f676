// An MC146818: index and data port, ten registers of time that follow the virtual clock, and memory for firmware's settings.

/// The clock and its memory.
///
/// - Spec: Motorola MC146818A
/// - Deviates: the time can be read and not set; years are those of one century
public final class RealTimeClock: PortDevice {
    /// 0x70 and 0x71.
    public let ports: [ClosedRange<UInt16>] = [0x70...0x71]
    /// The interrupt request: IRQ 8. It stays until register C is read.
    public let interrupt = OutputLine()
    private let clock: VirtualClock
    private let epoch: UInt64
    private var events: RealTimeEvents
    private var index: UInt8 = 0
    private var memory = [UInt8](repeating: 0, count: 128)

    /// An update lasts so long, in microseconds, before each second.
    private static let updateMicroseconds: UInt64 = 244

    /// Makes a clock.
    ///
    /// - Parameter epoch: the time at which virtual time is zero, in seconds since 1970, UTC
    public init(clock: VirtualClock, epoch: UInt64 = 1_767_225_600) {
        self.clock = clock
        self.epoch = epoch
        events = RealTimeEvents(epoch: epoch, frequency: clock.frequency)
        // 32.768 kHz, 1024 Hz; BCD, 24 hours; battery good.
        memory[0x0a] = 0x26
        memory[0x0b] = 0x02
        memory[0x0d] = 0x80
    }

    /// Stores a byte of the memory, as firmware's set-up does.
    public func store(_ value: UInt8, at index: UInt8) { memory[Int(index & 0x7f)] = value }

    /// IN.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        guard port == 0x71 else { return 0xff }
        poll()
        defer { update() }
        return UInt32(register(index))
    }

    /// OUT. Bit 7 of the index masks NMI, which there is none of here.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        guard port == 0x71 else {
            index = value & 0x7f
            return
        }
        switch index {
        case 0x00, 0x02, 0x04, 0x06...0x09, 0x0c, 0x0d, 0x32: break
        case 0x0a:
            poll()
            memory[0x0a] = value & 0x7f
            events.restartPeriod(at: clock, rate: value & 0xf)
        default:
            poll()
            memory[Int(index)] = value
        }
        update()
    }

    // MARK: Interrupts

    private var alarm: RealTimeEvents.Alarm {
        let isBinary = memory[0x0b] & 0x04 != 0
        func part(_ index: Int) -> Int? {
            let value = memory[index]
            guard value < 0xc0 else { return nil }
            if index == 5, memory[0x0b] & 0x02 == 0 {
                let low = value & 0x7f
                let hour = isBinary ? Int(low) : Int(low >> 4) * 10 + Int(low & 0xf)
                return hour % 12 + (value & 0x80 != 0 ? 12 : 0)
            }
            return isBinary ? Int(value) : Int(value >> 4) * 10 + Int(value & 0xf)
        }
        return RealTimeEvents.Alarm(second: part(1), minute: part(3), hour: part(5))
    }

    /// Makes the interrupts that are due. Several that were missed are one.
    public func poll() {
        events.note(clock, alarm)
        update()
    }

    /// When `poll` next has something to do, in the clock's ticks; nil for never.
    public var nextDeadline: UInt64? { events.nextDeadline(clock, alarm, enabled: memory[0x0b]) }

    private func update() { interrupt.drive(events.flags & memory[0x0b] & 0x70 != 0) }

    private func register(_ index: UInt8) -> UInt8 {
        let seconds = epoch + clock.ticks / clock.frequency
        let time = CalendarTime(secondsSince1970: seconds)
        switch index {
        case 0x00: return encoded(time.second)
        case 0x02: return encoded(time.minute)
        case 0x04: return hour(time.hour)
        case 0x06: return encoded(time.weekday)
        case 0x07: return encoded(time.day)
        case 0x08: return encoded(time.month)
        case 0x09: return encoded(time.year % 100)
        case 0x32: return encoded(time.year / 100)
        case 0x0a: return memory[0x0a] | (isUpdating ? 0x80 : 0)
        case 0x0c: return events.takeFlags(enabled: memory[0x0b])
        default: return memory[Int(index)]
        }
    }

    /// UIP: the registers are about to change.
    private var isUpdating: Bool {
        let left = clock.frequency - clock.ticks % clock.frequency
        return clock.periods(of: 1_000_000, in: left) <= Self.updateMicroseconds
    }

    private func encoded(_ value: Int) -> UInt8 {
        let isBinary = memory[0x0b] & 0x04 != 0
        return UInt8(truncatingIfNeeded: isBinary ? value : (value / 10) << 4 | value % 10)
    }

    private func hour(_ value: Int) -> UInt8 {
        guard memory[0x0b] & 0x02 == 0 else { return encoded(value) }
        let isAfternoon = value >= 12
        return encoded(value % 12 == 0 ? 12 : value % 12) | (isAfternoon ? 0x80 : 0)
    }
}

/// A second of the Gregorian calendar, UTC.
struct CalendarTime: Hashable {
    var year, month, day, hour, minute, second: Int
    /// 1 is Sunday.
    var weekday: Int

    init(secondsSince1970: UInt64) {
        let days = Int(clamping: secondsSince1970 / 86_400)
        let rest = Int(secondsSince1970 % 86_400)
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        // 1 January 1970 was a Thursday.
        weekday = (days + 4) % 7 + 1
        // Years that start in March end with the leap day: 146097 days are 400 of them.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    }
}
