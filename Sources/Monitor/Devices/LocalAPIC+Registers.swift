// A local APIC as the hypervisor sees it: a controller of interrupts, and the registers that a guest reaches through the host.

public import Hypervisor

extension LocalAPIC: LocalInterruptController {
    private static let baseIndex: UInt32 = 0x1b

    /// RDMSR. Nil for #GP.
    public func readRegister(_ index: UInt32) -> UInt64? {
        index == Self.baseIndex ? baseRegister : readMSR(index)
    }

    /// WRMSR. False for #GP.
    public func writeRegister(_ index: UInt32, _ value: UInt64) -> Bool {
        index == Self.baseIndex ? setBase(value) : writeMSR(index, value)
    }

    /// The clock: all processors' time-stamp counters show it.
    public var timeStamp: UInt64 { clock.ticks }

    /// Whether an address is in the page of registers.
    func covers(_ address: UInt64) -> Bool { memoryBase.map { address & ~0xfff == $0 } ?? false }

    /// A read of the page of registers. Only aligned doublewords are registers; the rest is zeros.
    func readMemory(_ address: UInt64, byteCount: Int) -> [UInt8] {
        guard byteCount == 4, address & 0xf == 0 else { return [UInt8](repeating: 0, count: max(0, byteCount)) }
        let value = read(UInt32(address & 0xfff))
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
    }

    /// A write to the page of registers.
    func writeMemory(_ address: UInt64, _ bytes: [UInt8]) {
        guard bytes.count == 4, address & 0xf == 0 else { return }
        write(UInt32(address & 0xfff), bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
}
