// IN and OUT: which device answers at which port. Where none does, the bus reads as all ones and swallows writes.

/// A device at I/O ports.
public protocol PortDevice: AnyObject {
    /// The ports that it answers at.
    var ports: [ClosedRange<UInt16>] { get }
    /// The widest access it takes, 1, 2 or 4 bytes; the bus divides wider ones into bytes at consecutive ports.
    var widestAccess: Int { get }
    /// IN of `byteCount` bytes; what lies above them is ignored.
    func read(_ port: UInt16, byteCount: Int) -> UInt32
    /// OUT of `byteCount` bytes; what lies above them is zero.
    func write(_ port: UInt16, byteCount: Int, _ value: UInt32)
}

extension PortDevice {
    /// One byte, as most devices have it.
    public var widestAccess: Int { 1 }
}

/// The I/O ports of a machine.
public final class PortBus {
    private var devices: [(ports: ClosedRange<UInt16>, device: any PortDevice)] = []

    /// Makes a bus without devices.
    public init() {}

    /// Connects a device.
    ///
    /// - Precondition: no device answers at its ports
    public func connect(_ device: any PortDevice) {
        for ports in device.ports {
            precondition(devices.allSatisfy { !$0.ports.overlaps(ports) }, "two devices at one port")
            devices.append((ports, device))
        }
    }

    private func device(at port: UInt16) -> (any PortDevice)? { devices.first { $0.ports.contains(port) }?.device }

    /// IN. Bytes of no device are all ones.
    ///
    /// - Parameter byteCount: what a guest asks for; only 1, 2 and 4 exist, and another number reads as nothing at all
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        guard [1, 2, 4].contains(byteCount) else { return .max }
        let mask = UInt32.max >> UInt32(32 - 8 * byteCount)
        if let device = device(at: port), device.widestAccess >= byteCount {
            return device.read(port, byteCount: byteCount) & mask
        }
        var value: UInt32 = 0
        for index in 0..<byteCount {
            let here = port &+ UInt16(index)
            let byte = device(at: here)?.read(here, byteCount: 1) ?? 0xff
            value |= (byte & 0xff) << UInt32(8 * index)
        }
        return value
    }

    /// OUT. Bytes for no device are lost.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        guard [1, 2, 4].contains(byteCount) else { return }
        let mask = UInt32.max >> UInt32(32 - 8 * byteCount)
        if let device = device(at: port), device.widestAccess >= byteCount {
            return device.write(port, byteCount: byteCount, value & mask)
        }
        for index in 0..<byteCount {
            let here = port &+ UInt16(index)
            device(at: here)?.write(here, byteCount: 1, value >> UInt32(8 * index) & 0xff)
        }
    }

    /// INS: `count` data of one port, as they lie in memory.
    public func readString(_ port: UInt16, byteCount: Int, count: Int) -> [UInt8] {
        guard [1, 2, 4].contains(byteCount) else { return [UInt8](repeating: 0xff, count: max(0, byteCount * count)) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount * max(0, count))
        for _ in 0..<max(0, count) {
            let value = read(port, byteCount: byteCount)
            for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * index))) }
        }
        return bytes
    }

    /// OUTS: data for one port, as they lie in memory. A last part of a datum is lost.
    public func writeString(_ port: UInt16, byteCount: Int, _ bytes: [UInt8]) {
        guard [1, 2, 4].contains(byteCount) else { return }
        var start = 0
        while start + byteCount <= bytes.count {
            let value = (0..<byteCount).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
            write(port, byteCount: byteCount, value)
            start += byteCount
        }
    }
}
