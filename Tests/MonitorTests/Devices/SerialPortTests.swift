import Testing

@testable import Monitor

@Suite("Serial port")
struct SerialPortTests {
    let port = SerialPort()
    func read(_ register: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: port.read(0x3f8 + register, byteCount: 1)) }
    func write(_ register: UInt16, _ value: UInt32) { port.write(0x3f8 + register, byteCount: 1, value) }

    @Test("bytes that are written leave at once, and the transmitter is empty")
    func transmit() {
        var sent: [UInt8] = []
        port.onTransmit = { sent.append($0) }
        for byte in "hi".utf8 {
            #expect(read(5) == 0x60)
            write(0, UInt32(byte))
        }
        #expect(sent == Array("hi".utf8))
    }

    @Test("the divisor hides behind the latch bit, and moves nothing else")
    func divisor() {
        var sent = 0
        port.onTransmit = { _ in sent += 1 }
        write(1, 0x05)
        write(3, 0x83)
        write(0, 0x34)
        write(1, 0x12)
        #expect([read(0), read(1), read(3)] == [0x34, 0x12, 0x83])
        write(3, 0x03)
        #expect([read(0), read(1)] == [0, 0x05])
        #expect(sent == 0)
    }

    @Test("bytes arrive in order; without FIFOs the second overruns the first")
    func receive() {
        port.receive(1)
        #expect(read(5) == 0x61)
        port.receive(2)
        #expect(read(5) == 0x63)
        #expect(read(5) == 0x61)
        #expect([read(0), read(5), read(0)] == [2, 0x60, 0])
        write(2, 1)
        for byte in 1...17 as ClosedRange<UInt8> { port.receive(byte) }
        #expect(port.room == 0)
        #expect(read(5) == 0x63)
        #expect((1...17).map { _ in read(0) } == Array(1...16) + [0])
    }

    @Test("clearing the receiver's FIFO, or switching FIFOs, loses what has arrived")
    func clear() {
        write(2, 1)
        port.receive(1)
        write(2, 3)
        #expect(read(5) == 0x60)
        port.receive(1)
        write(2, 0)
        #expect(read(5) == 0x60)
    }

    @Test("IIR names the reason of highest priority: line, data, time-out, transmitter, none")
    func reasons() {
        write(4, 0x08)
        #expect(read(2) == 0x01)
        write(1, 0x07)
        #expect(port.interrupt.isHigh)
        port.receive(1)
        port.receive(2)
        #expect(read(2) == 0x06)
        _ = read(5)
        #expect(read(2) == 0x04)
        _ = read(0)
        #expect(read(2) == 0x02)
        #expect(read(2) == 0x01)
        #expect(!port.interrupt.isHigh)
        write(0, 0x61)
        #expect(port.interrupt.isHigh)
        #expect(read(2) == 0x02)
        write(2, 0x41)
        port.receive(1)
        #expect(read(2) == 0xcc)
        for byte in 2...4 as ClosedRange<UInt8> { port.receive(byte) }
        #expect(read(2) == 0xc4)
    }

    @Test("the interrupt needs OUT2")
    func gate() {
        write(1, 0x01)
        port.receive(1)
        #expect(!port.interrupt.isHigh)
        write(4, 0x08)
        #expect(port.interrupt.isHigh)
        write(1, 0)
        #expect(!port.interrupt.isHigh)
    }

    @Test("in loop mode bytes come back, outputs are inputs and the outside is not heard")
    func loop() {
        var sent = 0
        port.onTransmit = { _ in sent += 1 }
        #expect(read(6) == 0xb0)
        write(4, 0x1a)
        #expect(read(6) == 0x90)
        write(4, 0x15)
        #expect(read(6) == 0x60)
        port.receive(9)
        write(0, 0x5a)
        #expect([read(0), read(5)] == [0x5a, 0x60])
        #expect(sent == 0)
    }

    @Test("registers keep what they have bits for")
    func widths() {
        write(1, 0xff)
        write(4, 0xff)
        write(7, 0xa5)
        #expect([read(1), read(4), read(7)] == [0x0f, 0x1f, 0xa5])
        write(2, 0xc1)
        #expect(read(2) & 0xc0 == 0xc0)
    }
}
