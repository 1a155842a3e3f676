import Testing

@testable import Monitor

@Suite("Interrupt controllers")
struct InterruptControllerTests {
    let pair = InterruptControllerPair()
    func write(_ port: UInt16, _ value: UInt32) { pair.write(port, byteCount: 1, value) }
    func read(_ port: UInt16) -> UInt32 { pair.read(port, byteCount: 1) }

    /// As PC firmware and kernels do it: vectors from 0x30, everything open.
    func initialize(automaticEnd: Bool = false, mask: UInt32 = 0) {
        for (command, data, base, wiring) in [(0x20, 0x21, 0x30, 4), (0xa0, 0xa1, 0x38, 2)]
            as [(UInt16, UInt16, UInt32, UInt32)]
        {
            write(command, 0x11)
            write(data, base)
            write(data, wiring)
            write(data, automaticEnd ? 3 : 1)
            write(data, mask)
        }
    }

    @Test("requests are served by priority, the second controller's in place of line 2")
    func priorities() {
        initialize()
        for line in [7, 8, 15, 1, 3] { pair.drive(line, true) }
        var vectors: [UInt8] = []
        while pair.interrupt.isHigh {
            let vector = pair.acknowledge()
            vectors.append(vector)
            if vector >= 0x38 { write(0xa0, 0x20) }
            write(0x20, 0x20)
        }
        #expect(vectors == [0x31, 0x38, 0x3f, 0x33, 0x37])
    }

    @Test("a request waits while one of higher priority is in service")
    func nesting() {
        initialize()
        pair.drive(3, true)
        #expect(pair.acknowledge() == 0x33)
        pair.drive(5, true)
        #expect(!pair.interrupt.isHigh)
        pair.drive(1, true)
        #expect(pair.interrupt.isHigh)
        #expect(pair.acknowledge() == 0x31)
        write(0x20, 0x20)
        #expect(!pair.interrupt.isHigh)
        write(0x20, 0x20)
        #expect(pair.acknowledge() == 0x35)
    }

    @Test("masked requests wait, and come when unmasked")
    func masks() {
        initialize(mask: 0xff)
        pair.drive(4, true)
        #expect(!pair.interrupt.isHigh)
        #expect(read(0x21) == 0xff)
        write(0x21, 0xef)
        #expect(pair.interrupt.isHigh)
        #expect(pair.acknowledge() == 0x34)
    }

    @Test("an edge is one request; a level asks again until it falls")
    func triggers() {
        initialize()
        pair.drive(5, true)
        _ = pair.acknowledge()
        write(0x20, 0x20)
        #expect(!pair.interrupt.isHigh)
        write(0x4d1, 0xff)
        #expect(read(0x4d1) == 0xde)
        write(0x4d0, 0xff)
        #expect(read(0x4d0) == 0xf8)
        pair.drive(10, true)
        for _ in 0..<2 {
            #expect(pair.acknowledge() == 0x3a)
            write(0xa0, 0x20)
            write(0x20, 0x20)
        }
        pair.drive(10, false)
        #expect(!pair.interrupt.isHigh)
    }

    @Test("a request that goes before it is acknowledged is spurious: line 7")
    func spurious() {
        initialize()
        pair.drive(3, true)
        pair.drive(3, false)
        #expect(!pair.interrupt.isHigh)
        #expect(pair.acknowledge() == 0x37)
        #expect(read(0x20) == 0)
        write(0x20, 0x0b)
        #expect(read(0x20) == 0)
    }

    @Test("automatic end leaves nothing in service")
    func automaticEnd() {
        initialize(automaticEnd: true)
        pair.drive(6, true)
        pair.drive(7, true)
        #expect([pair.acknowledge(), pair.acknowledge()] == [0x36, 0x37])
    }

    @Test("OCW3 chooses between requests and interrupts in service, and can poll")
    func reading() {
        initialize()
        pair.drive(4, true)
        pair.drive(6, true)
        #expect(read(0x20) == 0x50)
        _ = pair.acknowledge()
        write(0x20, 0x0b)
        #expect(read(0x20) == 0x10)
        write(0x20, 0x0a)
        #expect(read(0x20) == 0x40)
        write(0x20, 0x64)
        write(0x20, 0x20)
        write(0x20, 0x0c)
        #expect(read(0x20) == 0x86)
        write(0x20, 0x0c)
        #expect(read(0x20) == 0)
    }

    @Test("specific end, set priority and rotation")
    func rotation() {
        initialize()
        pair.drive(1, true)
        pair.drive(4, true)
        write(0x20, 0xc3)
        #expect(pair.acknowledge() == 0x34)
        write(0x20, 0x64)
        #expect(pair.acknowledge() == 0x31)
        write(0x20, 0xe1)
        pair.drive(1, false)
        pair.drive(4, false)
        pair.drive(1, true)
        pair.drive(4, true)
        #expect(pair.acknowledge() == 0x34)
    }

    @Test("before the initialisation nothing gets through, and a new one forgets what was")
    func initialization() {
        pair.drive(1, true)
        #expect(!pair.interrupt.isHigh)
        initialize()
        pair.drive(3, true)
        _ = pair.acknowledge()
        initialize()
        #expect(!pair.interrupt.isHigh)
        write(0x20, 0x0b)
        #expect(read(0x20) == 0)
    }
}
