import Testing

@testable import Monitor

@Suite("Local APIC")
struct LocalAPICTests {
    let clock = VirtualClock()
    let apic: LocalAPIC

    init() {
        apic = LocalAPIC(identifier: 5, clock: clock)
        apic.write(0xf0, 0x1ff)
    }

    @Test("interrupts come by priority class; one in service holds back its class and those below")
    func priorities() {
        for vector in [0x31, 0x52, 0x58, 0x20] as [UInt8] { apic.accept(vector) }
        #expect(apic.interrupt.isHigh)
        #expect(apic.acknowledge() == 0x58)
        #expect(apic.pending == nil)
        #expect(!apic.interrupt.isHigh)
        apic.accept(0x60)
        #expect(apic.acknowledge() == 0x60)
        #expect([apic.read(0x120), apic.read(0x130), apic.read(0x220)] == [1 << 24, 1, 1 << 18])
        var rest: [UInt8] = []
        for _ in 0..<5 {
            apic.write(0xb0, 0)
            if apic.interrupt.isHigh { rest.append(apic.acknowledge()) }
        }
        #expect(rest == [0x52, 0x31, 0x20])
    }

    @Test("the task priority holds back its class; CR8 is its upper half")
    func taskPriority() {
        apic.write(0x80, 0x45)
        apic.accept(0x4f)
        #expect(!apic.interrupt.isHigh)
        #expect([apic.read(0xa0), UInt32(apic.cr8)] == [0x45, 4])
        apic.cr8 = 3
        #expect(apic.pending == 0x4f)
        #expect(apic.acknowledge() == 0x4f)
        #expect(apic.read(0xa0) == 0x40)
    }

    @Test("without a request the vector is the spurious one")
    func spurious() {
        apic.write(0xf0, 0x1e7)
        #expect(apic.acknowledge() == 0xe7)
        #expect((0..<8).allSatisfy { apic.read(0x100 + UInt32($0) << 4) == 0 })
    }

    @Test("a disabled APIC takes nothing, and masks its local vectors")
    func disabled() {
        apic.write(0x320, 0x40)
        apic.write(0xf0, 0xff)
        apic.accept(0x40)
        #expect(apic.pending == nil)
        #expect(apic.read(0x320) == 0x1_0040)
        apic.write(0x320, 0x41)
        #expect(apic.read(0x320) == 0x1_0041)
        apic.write(0xf0, 0x1ff)
        #expect(apic.setBase(0xfee0_0000))
        apic.accept(0x40)
        #expect(apic.pending == nil)
    }

    @Test("illegal vectors and registers are errors, which ESR shows after a write")
    func errors() {
        apic.write(0x370, 0xe0)
        apic.accept(0x0f)
        #expect(apic.pending == 0xe0)
        #expect(apic.read(0x280) == 0)
        apic.write(0x280, 0)
        #expect(apic.read(0x280) == 1 << 6)
        #expect(apic.read(0x040) == 0)
        apic.write(0x280, 0)
        #expect(apic.read(0x280) == 1 << 7)
    }

    @Test("the end of a level-triggered interrupt is told")
    func levels() {
        var ended: [UInt8] = []
        apic.onEndOfInterrupt = { ended.append($0) }
        apic.accept(0x40, isLevel: true)
        apic.accept(0x30)
        for _ in 0..<2 {
            _ = apic.acknowledge()
            apic.write(0xb0, 0)
        }
        #expect(ended == [0x40])
    }

    @Test("a one-shot timer counts down at its rate and interrupts once")
    func oneShot() {
        apic.write(0x320, 0x40)
        apic.write(0x3e0, 0x3)
        apic.write(0x380, 100)
        #expect(apic.nextDeadline == 1600)
        clock.advance(by: 160)
        #expect(apic.read(0x390) == 90)
        clock.advance(to: 1599)
        apic.poll()
        #expect(apic.pending == nil)
        clock.advance(to: 1600)
        apic.poll()
        #expect(apic.acknowledge() == 0x40)
        #expect([apic.read(0x380), apic.read(0x390)] == [100, 0])
        clock.advance(by: 5000)
        apic.poll()
        #expect(apic.pending == nil)
        #expect(apic.nextDeadline == nil)
    }

    @Test("a periodic timer interrupts again and again, missed periods once")
    func periodic() {
        apic.write(0x320, 0x2_0040)
        apic.write(0x3e0, 0xb)
        apic.write(0x380, 1000)
        for period in 1...3 as ClosedRange<UInt64> {
            #expect(apic.nextDeadline == period * 1000)
            clock.advance(to: period * 1000)
            apic.poll()
            #expect(apic.acknowledge() == 0x40)
            apic.write(0xb0, 0)
        }
        clock.advance(by: 2500)
        #expect(apic.read(0x390) == 500)
        #expect(apic.acknowledge() == 0x40)
        apic.write(0xb0, 0)
        #expect(!apic.interrupt.isHigh)
        #expect(apic.nextDeadline == 6000)
        apic.write(0x380, 0)
        #expect(apic.nextDeadline == nil)
    }

    @Test(
        "the divide configuration has bits 3, 1 and 0",
        arguments: [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)] as [(UInt32, UInt64)])
    func divisors(configuration: UInt32, divisor: UInt64) {
        apic.write(0x320, 0x40)
        apic.write(0x3e0, configuration | 0xf4)
        #expect(apic.read(0x3e0) == configuration)
        apic.write(0x380, 10)
        #expect(apic.nextDeadline == 10 * divisor)
    }

    @Test("a masked timer counts and does not interrupt")
    func maskedTimer() {
        apic.write(0x320, 0x1_0040)
        apic.write(0x380, 10)
        #expect(apic.nextDeadline == nil)
        clock.advance(by: 100)
        apic.poll()
        #expect(apic.pending == nil)
    }

    @Test("commands go out with their destination; to itself they stay")
    func commands() {
        var sent: [InterruptCommand] = []
        apic.onCommand = { sent.append($0) }
        apic.write(0x310, 0x0300_0000)
        apic.write(0x300, 0x0000_4500)
        apic.write(0x300, 0x0000_1608)
        apic.write(0x300, 0x0004_0066)
        #expect(sent.map(\.destination) == [3, 3])
        #expect(sent.map(\.deliveryMode) == [5, 6])
        #expect([sent[0].isAsserted, sent[1].isAsserted] == [true, false])
        #expect(sent[1].vector == 8)
        #expect(apic.read(0x300) & 0x1000 == 0)
        #expect(apic.pending == 0x66)
    }

    @Test("modes change only as the processor allows")
    func modes() {
        #expect(apic.memoryBase == 0xfee0_0000)
        #expect(!apic.isX2APIC)
        #expect(!apic.setBase(0xfee0_0000 | 1 << 10))
        #expect(!apic.setBase(0xfee0_0000 | 1 << 11 | 1))
        #expect(!apic.setBase(1 << 52))
        #expect(apic.setBase(0xfee0_0c00))
        #expect(apic.isX2APIC)
        #expect(apic.memoryBase == nil)
        #expect(!apic.setBase(0xfee0_0800))
        #expect(apic.setBase(0xfee0_0000))
        #expect(!apic.setBase(0xfee0_0c00))
        #expect(apic.setBase(0xfee0_0800))
    }

    @Test("MSRs exist in x2APIC mode only, with their own widths and faults")
    func x2APIC() {
        #expect(apic.readMSR(0x802) == nil)
        #expect(!apic.writeMSR(0x80b, 0))
        #expect(apic.read(0x20) == 5 << 24)
        #expect(apic.setBase(0xfee0_0c00))
        #expect(apic.readMSR(0x802) == 5)
        #expect(apic.readMSR(0x80d) == 1 << 5)
        for index in [0x80b, 0x80e, 0x831, 0x83f, 0x800, 0x840, 0x8ff] as [UInt32] {
            #expect(apic.readMSR(index) == nil)
        }
        #expect(!apic.writeMSR(0x80b, 1))
        #expect(!apic.writeMSR(0x802, 0))
        #expect(!apic.writeMSR(0x808, 1 << 32))
        #expect(apic.writeMSR(0x808, 0x20))
        #expect(apic.readMSR(0x80a) == 0x20)
        var sent: [InterruptCommand] = []
        apic.onCommand = { sent.append($0) }
        #expect(apic.writeMSR(0x830, 0x1_0000 << 32 | 0x4500))
        #expect(sent.first?.destination == 0x1_0000)
        #expect(apic.readMSR(0x830) == 0x1_0000 << 32 | 0x4500)
        #expect(apic.writeMSR(0x83f, 0x41))
        #expect(apic.acknowledge() == 0x41)
        #expect(apic.writeMSR(0x80b, 0))
    }
}
