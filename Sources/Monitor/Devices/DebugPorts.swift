// Two ports by which a guest speaks to whoever runs it: one ends it with a number, one takes bytes.

/// The port that ends a guest.
public final class ExitPort: PortDevice {
    /// 0xf4, as debug-exit devices have it.
    public static let standardPort: UInt16 = 0xf4

    /// Its four ports.
    public let ports: [ClosedRange<UInt16>]
    /// Four bytes at once.
    public var widestAccess: Int { 4 }
    /// What the guest wrote first, or nil while it has not ended.
    public private(set) var status: UInt32?

    /// Makes the device.
    public init(port: UInt16 = standardPort) { ports = [port...(port + 3)] }

    /// Reads as all ones.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 { .max }
    /// Ends the guest. What it writes later, or behind the first port, does not count.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        guard port == ports[0].lowerBound, status == nil else { return }
        status = value
    }
}

/// The port that takes a guest's result: for `hello`, its attestation report.
public final class ResultPort: PortDevice {
    /// 0xe9, where debug consoles are.
    public static let standardPort: UInt16 = 0xe9

    /// Its port.
    public let ports: [ClosedRange<UInt16>]
    /// What the guest wrote.
    public private(set) var bytes: [UInt8] = []
    private let limit: Int

    /// Makes the device.
    ///
    /// - Parameter limit: bytes behind so many are lost, so that a guest cannot use up the host's memory
    public init(port: UInt16 = standardPort, limit: Int = 1 << 20) {
        ports = [port...port]
        self.limit = limit
    }

    /// Reads as its own port number, as debug consoles do.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 { UInt32(ports[0].lowerBound) }
    /// Takes a byte.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        guard bytes.count < limit else { return }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}
