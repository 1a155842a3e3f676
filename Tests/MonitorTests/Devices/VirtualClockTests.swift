import Testing

@testable import Monitor

@Suite("Virtual clock")
struct VirtualClockTests {
    @Test("periods of another frequency are exact, however far the clock is")
    func periods() {
        let clock = VirtualClock(frequency: 1_000_000_000)
        #expect(clock.periods(of: 1_193_182, in: 1_000_000_000) == 1_193_182)
        #expect(clock.periods(of: 1_193_182, in: 838) == 0)
        #expect(clock.periods(of: 1_193_182, in: 839) == 1)
        // A century, which as a product of 64 bits would overflow.
        #expect(clock.periods(of: 1_193_182, in: 3_155_760_000_000_000_000) == 3_155_760_000 * 1_193_182)
        #expect(clock.periods(of: 1_000_000_000, in: .max) == .max)
    }

    @Test("the ticks for periods are the first at which they have passed", arguments: [0, 1, 2, 999, 65536, 1 << 40])
    func ticks(count: UInt64) {
        let clock = VirtualClock(frequency: 1_000_000_007)
        let ticks = clock.ticks(for: count, of: 1_193_182)
        #expect(clock.periods(of: 1_193_182, in: ticks) == count)
        if ticks > 0 { #expect(clock.periods(of: 1_193_182, in: ticks - 1) == count - 1) }
        #expect(clock.ticks(for: .max, of: 1) == .max)
    }

    @Test("time does not go back")
    func forward() {
        let clock = VirtualClock()
        clock.advance(by: 10)
        clock.advance(to: 5)
        #expect(clock.ticks == 10)
        clock.advance(to: 12)
        #expect(clock.ticks == 12)
    }
}
