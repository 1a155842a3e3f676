import Testing

@testable import Monitor

@Suite("Real-time clock")
struct RealTimeClockTests {
    let clock = VirtualClock(frequency: 1_000_000)

    func register(_ device: RealTimeClock, _ index: UInt32) -> UInt32 {
        device.write(0x70, byteCount: 1, index)
        return device.read(0x71, byteCount: 1)
    }

    @Test(
        "days are those of the calendar",
        arguments: [
            (0, [1970, 1, 1, 5]), (951_782_400, [2000, 2, 29, 3]), (1_709_164_800, [2024, 2, 29, 5]),
            (1_709_251_200, [2024, 3, 1, 6]), (4_107_542_400, [2100, 3, 1, 2]), (1_767_225_599, [2025, 12, 31, 4]),
        ] as [(UInt64, [Int])])
    func calendar(seconds: UInt64, expected: [Int]) {
        let time = CalendarTime(secondsSince1970: seconds)
        #expect([time.year, time.month, time.day, time.weekday] == expected)
    }

    @Test("time is read in BCD, binary, and hours of half a day, and runs with the clock")
    func time() {
        // 2026-11-23 21:58:59.
        let device = RealTimeClock(clock: clock, epoch: 1_795_471_139)
        func all() -> [UInt32] { [0x32, 9, 8, 7, 6, 4, 2, 0].map { register(device, $0) } }
        #expect(all() == [0x20, 0x26, 0x11, 0x23, 0x02, 0x21, 0x58, 0x59])
        clock.advance(by: 1_000_000)
        #expect(all() == [0x20, 0x26, 0x11, 0x23, 0x02, 0x21, 0x59, 0x00])
        device.write(0x70, byteCount: 1, 0x0b)
        device.write(0x71, byteCount: 1, 0x04)
        #expect(all() == [20, 26, 11, 23, 2, 0x89, 59, 0])
    }

    @Test("midnight and noon are 12")
    func halfDays() {
        for (hour, expected) in [(0, 0x12), (1, 0x01), (12, 0x92), (13, 0x81), (23, 0x91)] as [(UInt64, UInt32)] {
            let device = RealTimeClock(clock: clock, epoch: hour * 3600)
            device.write(0x70, byteCount: 1, 0x0b)
            device.write(0x71, byteCount: 1, 0x00)
            #expect(register(device, 4) == expected)
        }
    }

    @Test("an update shows before each second")
    func updating() {
        let device = RealTimeClock(clock: clock)
        for (ticks, expected) in [(0, 0x26), (999_755, 0x26), (999_756, 0xa6), (999_999, 0xa6), (1_000_000, 0x26)]
            as [(UInt64, UInt32)]
        {
            clock.advance(to: ticks)
            #expect(register(device, 0x0a) == expected)
        }
    }

    @Test("memory keeps what is written, time does not")
    func memory() {
        let device = RealTimeClock(clock: clock)
        let before = register(device, 0)
        device.write(0x71, byteCount: 1, 0x77)
        #expect(register(device, 0) == before)
        #expect(register(device, 0x8f & 0xff) == register(device, 0x0f))
        device.write(0x71, byteCount: 1, 0x77)
        #expect(register(device, 0x0f) == 0x77)
        device.store(0x12, at: 0x34)
        #expect([register(device, 0x34), register(device, 0x0c), register(device, 0x0d)] == [0x12, 0, 0x80])
        #expect(device.read(0x70, byteCount: 1) == 0xff)
    }
}
