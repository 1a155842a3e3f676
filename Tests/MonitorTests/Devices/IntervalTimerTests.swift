import Testing

@testable import Monitor

@Suite("Interval timer")
struct IntervalTimerTests {
    /// One tick of the clock for each period, so that counts are easy to read.
    let clock = VirtualClock(frequency: IntervalTimer.frequency)
    let timer: IntervalTimer

    init() { timer = IntervalTimer(clock: clock) }

    func write(_ port: UInt16, _ value: UInt32) { timer.write(port, byteCount: 1, value) }
    func read(_ port: UInt16) -> UInt32 { timer.read(port, byteCount: 1) }
    func count(_ port: UInt16) -> UInt32 { read(port) | read(port) << 8 }
    func load(_ counter: UInt16, control: UInt32, _ value: UInt32) {
        write(0x43, control)
        write(0x40 + counter, value & 0xff)
        write(0x40 + counter, value >> 8)
    }

    @Test("mode 0 counts to the end, interrupts once and goes on counting")
    func oneShot() {
        var edges = 0
        timer.interrupt.onChange = { if $0 { edges += 1 } }
        load(0, control: 0x30, 1000)
        #expect(timer.nextDeadline == 1000)
        clock.advance(by: 999)
        timer.poll()
        #expect(edges == 0)
        #expect(count(0x40) == 1)
        clock.advance(by: 1)
        timer.poll()
        #expect(edges == 1)
        #expect(timer.nextDeadline == nil)
        clock.advance(by: 5)
        timer.poll()
        #expect(edges == 1)
        #expect(count(0x40) == 0xfffb)
    }

    @Test("mode 2 interrupts every period; missed ones are one")
    func rate() {
        var edges = 0
        timer.interrupt.onChange = { if $0 { edges += 1 } }
        load(0, control: 0x34, 100)
        edges = 0
        for step in 1...10 as ClosedRange<UInt64> {
            #expect(timer.nextDeadline == step * 100)
            clock.advance(to: step * 100)
            timer.poll()
        }
        #expect(edges == 10)
        clock.advance(by: 1050)
        timer.poll()
        #expect(edges == 11)
        #expect(count(0x40) == 50)
        #expect(timer.nextDeadline == 2100)
    }

    @Test("mode 3 counts down by two, twice in a period")
    func square() {
        load(2, control: 0xb6, 100)
        write(0x61, 1)
        #expect(count(0x42) == 100)
        clock.advance(by: 10)
        #expect(count(0x42) == 80)
        #expect(read(0x61) & 0x20 != 0)
        clock.advance(by: 45)
        #expect(count(0x42) == 90)
        #expect(read(0x61) & 0x20 == 0)
    }

    @Test("0 counts 65536, and one byte is enough where the control word says so")
    func widths() {
        load(0, control: 0x30, 0)
        clock.advance(by: 1)
        #expect(count(0x40) == 0xffff)
        write(0x43, 0x10)
        write(0x40, 7)
        #expect(read(0x40) == 7)
        write(0x43, 0x20)
        write(0x40, 7)
        #expect(read(0x40) == 7)
        #expect(timer.nextDeadline == 1 + 0x700)
    }

    @Test("a latched count stands still until it is read")
    func latch() {
        load(0, control: 0x34, 1000)
        clock.advance(by: 10)
        write(0x43, 0x00)
        clock.advance(by: 10)
        write(0x43, 0x00)
        #expect(count(0x40) == 990)
        #expect(count(0x40) == 980)
    }

    @Test("read-back latches states, and counts of several counters")
    func readBack() {
        load(0, control: 0x34, 1000)
        load(2, control: 0xb0, 500)
        write(0x61, 1)
        clock.advance(by: 100)
        write(0x43, 0xca)
        #expect(read(0x40) == 0xb4)
        #expect(read(0x42) == 0x30)
        clock.advance(by: 100)
        #expect([count(0x40), count(0x42)] == [900, 400])
        write(0x43, 0x36)
        write(0x43, 0xe2)
        #expect(read(0x40) == 0xf6)
    }

    @Test("counter 2 waits for its gate, and port 0x61 shows its output: how a TSC is calibrated")
    func gate() {
        load(2, control: 0xb0, 500)
        clock.advance(by: 1000)
        #expect(read(0x61) & 0x21 == 0)
        write(0x61, 1)
        clock.advance(by: 499)
        #expect(read(0x61) & 0x21 == 1)
        clock.advance(by: 1)
        #expect(read(0x61) & 0x21 == 0x21)
        #expect(timer.nextDeadline == nil)
    }

    @Test("the refresh bit toggles")
    func refresh() {
        let first = read(0x61) & 0x10
        clock.advance(by: 18)
        #expect(read(0x61) & 0x10 != first)
        #expect(read(0x43) == 0xff)
    }
}
