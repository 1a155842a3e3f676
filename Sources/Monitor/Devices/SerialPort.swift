// A 16550A: eight registers, two FIFOs of 16 bytes, one interrupt. A byte is sent in no time, so that the transmitter is
// always empty.

/// A serial port.
///
/// - Spec: National Semiconductor PC16550D
/// - Deviates: bytes take no time at any baud rate; no break, parity or framing errors; DMA mode is ignored
public final class SerialPort: PortDevice {
    /// The first port's address.
    public static let standardPort: UInt16 = 0x3f8

    /// Its eight ports.
    public let ports: [ClosedRange<UInt16>]
    /// The interrupt request: IRQ 4 for the first port. It is gated by OUT2.
    public let interrupt = OutputLine()
    /// What takes each byte that is sent.
    public var onTransmit: ((UInt8) -> Void)?

    private var received: [UInt8] = []
    private var interruptEnable: UInt8 = 0
    private var fifoControl: UInt8 = 0
    private var lineControl: UInt8 = 0
    private var modemControl: UInt8 = 0
    private var scratch: UInt8 = 0
    private var divisor: UInt16 = 12
    private var hasOverrun = false
    /// How often in a row the guest has found no byte, without sending one.
    private var emptyReads = 0
    /// Set when the transmitter empties, cleared when IIR tells of it.
    private var transmitterInterrupt = false

    /// Makes a port at which nothing has arrived.
    public init(port: UInt16 = standardPort) { ports = [port...(port + 7)] }

    // MARK: The other end of the line

    /// Takes a byte from outside. What does not fit is lost and counts as an overrun.
    public func receive(_ byte: UInt8) {
        guard modemControl & ModemControl.loop == 0 else { return }
        enqueue(byte)
    }

    /// Whether the guest waits for input: it has enabled the interrupt for it, or looks for it again and again.
    public var wantsInput: Bool {
        received.isEmpty && (interruptEnable & InterruptEnable.received != 0 || emptyReads > 1)
    }

    /// How many more bytes fit.
    public var room: Int { max(0, capacity - received.count) }

    private var hasFIFO: Bool { fifoControl & 1 != 0 }
    private var capacity: Int { hasFIFO ? 16 : 1 }

    private func enqueue(_ byte: UInt8) {
        if received.count >= capacity {
            hasOverrun = true
            // Without FIFOs the new byte takes the place of the old one.
            if !hasFIFO { received[0] = byte }
        } else {
            received.append(byte)
        }
        update()
    }

    // MARK: Registers

    /// IN.
    public func read(_ port: UInt16, byteCount: Int) -> UInt32 {
        let value: UInt8 =
            switch port - ports[0].lowerBound {
            case 0 where isDivisorLatched: UInt8(truncatingIfNeeded: divisor)
            case 0: receivedByte()
            case 1 where isDivisorLatched: UInt8(truncatingIfNeeded: divisor >> 8)
            case 1: interruptEnable
            case 2: interruptIdentification()
            case 3: lineControl
            case 4: modemControl
            case 5: lineStatus()
            case 6: modemStatus
            default: scratch
            }
        update()
        return UInt32(value)
    }

    /// OUT.
    public func write(_ port: UInt16, byteCount: Int, _ value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        switch port - ports[0].lowerBound {
        case 0 where isDivisorLatched: divisor = divisor & 0xff00 | UInt16(value)
        case 0: transmit(value)
        case 1 where isDivisorLatched: divisor = divisor & 0x00ff | UInt16(value) << 8
        case 1:
            // Enabling the transmitter's interrupt while it is empty requests one at once.
            if value & ~interruptEnable & InterruptEnable.transmitter != 0 { transmitterInterrupt = true }
            interruptEnable = value & 0x0f
        case 2:
            if value & 1 != fifoControl & 1 || value & 2 != 0 { received = [] }
            fifoControl = value & 0xc9
        case 3: lineControl = value
        case 4: modemControl = value & 0x1f
        case 7: scratch = value
        default: break
        }
        update()
    }

    private var isDivisorLatched: Bool { lineControl & 0x80 != 0 }

    private func transmit(_ byte: UInt8) {
        transmitterInterrupt = true
        emptyReads = 0
        if modemControl & ModemControl.loop != 0 { enqueue(byte) } else { onTransmit?(byte) }
    }

    private func receivedByte() -> UInt8 { received.isEmpty ? 0 : received.removeFirst() }

    /// LSR: transmitter empty, data ready, overrun. Reading clears the overrun.
    private func lineStatus() -> UInt8 {
        emptyReads = received.isEmpty ? min(emptyReads + 1, 2) : 0
        let status: UInt8 = 0x60 | (received.isEmpty ? 0 : 1) | (hasOverrun ? 2 : 0)
        hasOverrun = false
        return status
    }

    /// MSR: the other end is ready; in loop mode the port's own outputs.
    private var modemStatus: UInt8 {
        guard modemControl & ModemControl.loop != 0 else { return 0xb0 }
        // RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
        return (modemControl & 2) << 3 | (modemControl & 1) << 5 | (modemControl & 4) << 4 | (modemControl & 8) << 4
    }

    // MARK: Interrupts

    private enum InterruptEnable {
        static let received: UInt8 = 1
        static let transmitter: UInt8 = 2
        static let lineStatus: UInt8 = 4
    }

    private enum ModemControl {
        static let out2: UInt8 = 8
        static let loop: UInt8 = 16
    }

    /// How many bytes the FIFO must hold for the first kind of interrupt; fewer give a time-out.
    private var triggerLevel: Int {
        guard hasFIFO else { return 1 }
        return [1, 4, 8, 14][Int(fifoControl >> 6)]
    }

    /// The reason for an interrupt in its place of IIR, by priority; 1 for none.
    private var pendingReason: UInt8 {
        if interruptEnable & InterruptEnable.lineStatus != 0, hasOverrun { return 0x06 }
        if interruptEnable & InterruptEnable.received != 0 {
            if received.count >= triggerLevel { return 0x04 }
            if !received.isEmpty { return 0x0c }
        }
        if interruptEnable & InterruptEnable.transmitter != 0, transmitterInterrupt { return 0x02 }
        return 0x01
    }

    /// IIR. Reading it acknowledges the transmitter's interrupt.
    private func interruptIdentification() -> UInt8 {
        let reason = pendingReason
        if reason == 0x02 { transmitterInterrupt = false }
        return reason | (hasFIFO ? 0xc0 : 0)
    }

    private func update() {
        let isGated = modemControl & ModemControl.out2 == 0 || modemControl & ModemControl.loop != 0
        interrupt.drive(!isGated && pendingReason != 0x01)
    }
}
