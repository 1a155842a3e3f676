// The devices' wires: who interrupts whom.

import Testing

@testable import Monitor

@Suite("Chipset")
struct ChipsetTests {
    let chipset = Chipset(processorCount: 3)
    var first: LocalAPIC { chipset.localControllers[0] }

    private func out(_ port: UInt16, _ values: UInt32...) {
        for value in values { chipset.bus.write(port, byteCount: 1, value) }
    }

    /// Requests 0 to 7 as vectors from 0x20, 8 to 15 from 0x28.
    private func open(_ lines: UInt32) {
        out(0x20, 0x11)
        out(0x21, 0x20, 4, 1, ~lines & 0xff)
        out(0xa0, 0x11)
        out(0xa1, 0x28, 2, 1, ~lines >> 8 & 0xff)
    }

    @Test("the interval timer interrupts the first processor through the controllers, as long as they let it")
    func intervalTimer() {
        open(1)
        out(0x43, 0x34)
        out(0x40, 100, 0)
        #expect(!first.hasInterrupt)
        let deadline = chipset.nextDeadline
        chipset.clock.advance(to: deadline ?? 0)
        chipset.poll()
        #expect(first.hasInterrupt)
        #expect(!chipset.localControllers[1].hasInterrupt)
        #expect(first.takeInterrupt() == 0x20)
        #expect(!first.hasInterrupt)
        out(0x20, 0x20)
        out(0x21, 0xff)
        #expect(chipset.nextDeadline == nil, "a masked timer is nobody's deadline")
        chipset.clock.advance(by: 1_000_000)
        chipset.poll()
        #expect(!first.hasInterrupt)
        out(0x21, 0xfe)
        #expect(first.hasInterrupt, "the request waited behind the mask")
    }

    @Test("the serial line is request 4, the real-time clock request 8 by way of the second controller")
    func others() {
        open(1 << 2 | 1 << 4 | 1 << 8)
        out(0x3fc, 8)
        out(0x3f9, 1)
        #expect(chipset.serial.wantsInput)
        chipset.serial.receive(0x41)
        #expect(first.takeInterrupt() == 0x24)
        #expect(chipset.bus.read(0x3f8, byteCount: 1) == 0x41)
        out(0x20, 0x20)
        out(0x70, 0x0b)
        out(0x71, 0x42)
        let period = chipset.nextDeadline
        #expect(period == 976_563, "1024 Hz")
        chipset.clock.advance(to: period ?? 0)
        chipset.poll()
        #expect(first.takeInterrupt() == 0x28)
        out(0x70, 0x0c)
        #expect([chipset.bus.read(0x71, byteCount: 1), chipset.bus.read(0x71, byteCount: 1)] == [0xc0, 0])
    }

    @Test("LINT0 is ExtINT as the guest finds it, nothing when masked, a vector or an NMI when set so")
    func localInterrupt() {
        open(1)
        var nonMaskable: [Int] = []
        chipset.onNonMaskable = { nonMaskable.append($0) }
        #expect(first.read(0x350) == 0x700)
        #expect(chipset.localControllers[1].read(0x350) == 0x1_0000)
        first.write(0xf0, 0x1ff)
        first.write(0x350, 0x1_0700)
        chipset.controllers.drive(0, true)
        #expect(!first.hasInterrupt)
        first.write(0x350, 0x700)
        #expect(first.hasInterrupt)
        _ = first.takeInterrupt()
        out(0x20, 0x20)
        first.write(0x350, 0x61)
        chipset.controllers.drive(0, false)
        chipset.controllers.drive(0, true)
        #expect(first.takeInterrupt() == 0x61)
        first.write(0x350, 0x400)
        chipset.controllers.drive(0, false)
        chipset.controllers.drive(0, true)
        #expect(nonMaskable == [0])
        #expect(!first.hasInterrupt)
    }

    @Test("commands reach whom they name, by identifier, group and shorthand")
    func commands() {
        for local in chipset.localControllers { local.write(0xf0, 0x1ff) }
        func received(_ vector: UInt8) -> [Int] {
            chipset.localControllers.indices.filter { chipset.localControllers[$0].requests[vector] }
        }
        let sender = chipset.localControllers[1]
        sender.write(0x310, 2 << 24)
        sender.write(0x300, 0x40)
        sender.write(0x310, 0xff << 24)
        sender.write(0x300, 0x41)
        sender.write(0x300, 0x42 | 1 << 18)
        sender.write(0x300, 0x43 | 2 << 18)
        sender.write(0x300, 0x44 | 3 << 18)
        chipset.localControllers[0].write(0xd0, 1 << 24)
        chipset.localControllers[2].write(0xd0, 4 << 24)
        sender.write(0x310, 5 << 24)
        sender.write(0x300, 0x45 | 1 << 11)
        #expect(
            [0x40, 0x41, 0x42, 0x43, 0x44, 0x45].map(received)
                == [[2], [0, 1, 2], [1], [0, 1, 2], [0, 2], [0, 2]])
        var seen: [String] = []
        chipset.onNonMaskable = { seen.append("NMI \($0)") }
        chipset.onInit = { seen.append("INIT \($0)") }
        chipset.onStartUp = { seen.append("SIPI \($0)") }
        sender.write(0x310, 2 << 24)
        for mode in [0x400, 0x4500, 0x8500, 0x4608] as [UInt32] { sender.write(0x300, mode) }
        #expect(seen == ["NMI 2", "INIT 2", "SIPI 2"], "an INIT that deasserts is none")
        #expect(chipset.localControllers[2].read(0xf0) == 0xff, "INIT resets the APIC")
    }

    @Test("the page of registers is each processor's own, and is gone in x2APIC mode")
    func memory() {
        #expect(chipset.readMemory(0xfee0_0020, byteCount: 4, by: 2) == [0, 0, 0, 2])
        #expect(chipset.writeMemory(0xfee0_0080, [0x30, 0, 0, 0], by: 1))
        #expect(chipset.readMemory(0xfee0_0080, byteCount: 4, by: 1) == [0x30, 0, 0, 0])
        #expect(chipset.readMemory(0xfee0_0080, byteCount: 4, by: 0) == [0, 0, 0, 0])
        #expect(chipset.readMemory(0xfee0_0081, byteCount: 8, by: 0) == [UInt8](repeating: 0, count: 8))
        #expect(chipset.readMemory(0xfec0_0000, byteCount: 4, by: 0) == nil)
        #expect(chipset.readMemory(0xfee0_0020, byteCount: 4, by: 3) == nil)
        #expect(chipset.localControllers[1].writeRegister(0x1b, 0xfee0_0c00))
        #expect(chipset.readMemory(0xfee0_0020, byteCount: 4, by: 1) == nil)
        #expect(chipset.localControllers[1].readRegister(0x802) == 1)
    }

    @Test("the clock tells of time that a running processor has not handed in yet")
    func progress() {
        first.write(0xf0, 0x1ff)
        first.write(0x3e0, 0xb)
        first.write(0x320, 0x40)
        chipset.clock.progress = { 500 }
        first.write(0x380, 1000)
        chipset.clock.progress = nil
        chipset.clock.advance(by: 600)
        #expect(chipset.nextDeadline == 1500)
        #expect(first.read(0x390) == 900)
    }
}
