import Testing

@testable import Monitor

/// A device that remembers what was done to it.
private final class Recorder: PortDevice {
    let ports: [ClosedRange<UInt16>]
    let widestAccess: Int
    var log: [String] = []

    init(_ ports: ClosedRange<UInt16>, widest: Int = 1) {
        self.ports = [ports]
        widestAccess = widest
    }

    func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        log.append("in \(port) \(byteCount)")
        return 0xaabb_cc00 | UInt32(port & 0xff)
    }
    func write(_ port: UInt16, byteCount: Int, _ value: UInt32) { log.append("out \(port) \(byteCount) \(value)") }
}

@Suite("Port bus")
struct PortBusTests {
    @Test(
        "where no device is, reads are all ones and writes are lost",
        arguments: [(1, 0xff), (2, 0xffff), (4, UInt32.max)])
    func empty(byteCount: Int, ones: UInt32) {
        let bus = PortBus()
        #expect(bus.read(0xcf8, byteCount: byteCount) == ones)
        bus.write(0xcf8, byteCount: byteCount, 1)
        #expect(bus.readString(0xcf8, byteCount: byteCount, count: 3) == [UInt8](repeating: 0xff, count: 3 * byteCount))
    }

    @Test("a wide access to a byte-wide device is divided, and reaches past its end")
    func divided() {
        let bus = PortBus()
        let device = Recorder(0x10...0x12)
        bus.connect(device)
        #expect(bus.read(0x11, byteCount: 4) == 0xffff_1211)
        bus.write(0x11, byteCount: 4, 0x0403_0201)
        #expect(device.log == ["in 17 1", "in 18 1", "out 17 1 1", "out 18 1 2"])
    }

    @Test("a device that takes wide accesses gets them whole")
    func whole() {
        let bus = PortBus()
        let device = Recorder(0x10...0x13, widest: 4)
        bus.connect(device)
        #expect(bus.read(0x10, byteCount: 2) == 0xcc10)
        bus.write(0x10, byteCount: 4, 0x1234_5678)
        bus.write(0x10, byteCount: 1, 0x1234_5678)
        #expect(device.log == ["in 16 2", "out 16 4 305419896", "out 16 1 120"])
    }

    @Test("strings go to one port, datum by datum, and a broken one is lost")
    func strings() {
        let bus = PortBus()
        let device = Recorder(0x10...0x13, widest: 2)
        bus.connect(device)
        bus.writeString(0x10, byteCount: 2, [1, 2, 3, 4, 5])
        #expect(device.log == ["out 16 2 513", "out 16 2 1027"])
        #expect(bus.readString(0x10, byteCount: 2, count: 2) == [0x10, 0xcc, 0x10, 0xcc])
    }

    @Test("sizes that no instruction has do nothing", arguments: [-1, 0, 3, 5, 7, 8, Int.max])
    func oddSizes(byteCount: Int) {
        let bus = PortBus()
        let device = Recorder(0x10...0x13, widest: 4)
        bus.connect(device)
        #expect(bus.read(0x10, byteCount: byteCount) == .max)
        bus.write(0x10, byteCount: byteCount, 0)
        bus.writeString(0x10, byteCount: byteCount, [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(bus.readString(0x10, byteCount: byteCount, count: 0) == [])
        #expect(device.log == [])
    }

    @Test("ports wrap at the end of the space")
    func wrap() {
        let bus = PortBus()
        let device = Recorder(0...0)
        bus.connect(device)
        #expect(bus.read(0xffff, byteCount: 2) == 0x00ff)
    }

    @Test("two devices at one port are a broken machine")
    func conflict() async {
        await #expect(processExitsWith: .failure) {
            let bus = PortBus()
            bus.connect(SerialPort())
            bus.connect(SerialPort(port: 0x3ff))
        }
    }

    @Test("the exit port keeps the first number, the result port all bytes up to its limit")
    func debugPorts() {
        let bus = PortBus()
        let exit = ExitPort()
        let result = ResultPort(limit: 5)
        bus.connect(exit)
        bus.connect(result)
        #expect(exit.status == nil)
        bus.write(0xf5, byteCount: 1, 9)
        #expect(exit.status == nil)
        bus.write(0xf4, byteCount: 4, 0x1234_5678)
        bus.write(0xf4, byteCount: 1, 0)
        #expect(exit.status == 0x1234_5678)
        bus.writeString(0xe9, byteCount: 1, [1, 2, 3])
        bus.writeString(0xe9, byteCount: 1, [4, 5, 6])
        #expect(result.bytes == [1, 2, 3, 4, 5])
        #expect(bus.read(0xe9, byteCount: 1) == 0xe9)
    }
}
