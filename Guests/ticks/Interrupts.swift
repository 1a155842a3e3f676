// Gates for interrupts, their handler, and the controllers: local APIC by MSRs, and the two of a PC by ports.

import Hardware

/// What the handler leaves behind: addresses that do not depend on where Swift keeps its variables.
enum Seen {
    /// How often a vector has come, on any processor.
    static func count(_ vector: UInt64) -> UInt64 { load64(address(vector)) }
    static func address(_ vector: UInt64) -> UInt64 { scratch_page() + vector * 8 }
    /// The vectors in their order.
    static var logLength: UInt64 { scratch_page() + 2048 }
    static func entry(_ index: UInt64) -> UInt64 { UInt64(load8(scratch_page() + 2056 + index)) }
    static func forget() { store64(logLength, 0) }
    /// What a processor waits for that another one does.
    static var ready: UInt64 { scratch_page() + 3072 }
}

enum Vector {
    static let nonMaskable: UInt64 = 2
    static let firstRequest: UInt64 = 0x20
    static let timer: UInt64 = 0x40
    static let ping: UInt64 = 0x70
    static let pong: UInt64 = 0x71
    static let spurious: UInt64 = 0xff
}

enum Interrupts {
    /// Gates for NMI and for every vector from 32.
    static func install() {
        setGate(Vector.nonMaskable)
        for vector in 32..<256 as Range<UInt64> { setGate(vector) }
        load()
    }

    static func load() { load_idt(interrupt_table(), 256 * 16 - 1) }

    private static func setGate(_ vector: UInt64) {
        let handler = interrupt_stubs() + vector * 16
        let gate = interrupt_table() + vector * 16
        store64(gate, handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48)
        store64(gate + 8, handler >> 32)
    }
}

/// The local APIC in x2APIC mode.
enum LocalAPIC {
    static let base: UInt32 = 0x1b
    static let taskPriority: UInt32 = 0x808
    static let requests: UInt32 = 0x820
    static let command: UInt32 = 0x830
    static let timerVector: UInt32 = 0x832
    static let initialCount: UInt32 = 0x838

    static func enable() {
        write_msr(base, read_msr(base) | 1 << 10)
        write_msr(0x80f, 0x100 | Vector.spurious)
        // Not divided.
        write_msr(0x83e, 0xb)
    }

    static func send(_ low: UInt64, to destination: UInt64 = 0) { write_msr(command, destination << 32 | low) }
    static func sendToSelf(_ vector: UInt64) { send(1 << 18 | vector) }
    static func isRequested(_ vector: UInt64) -> Bool {
        read_msr(requests + UInt32(vector >> 5)) >> (vector & 31) & 1 != 0
    }
}

/// The two controllers of a PC.
enum Controllers {
    /// Requests 0 to 15 as vectors 0x20 to 0x2f, all but some masked.
    static func initialize(open: UInt16) {
        for (port, base, wiring) in [(0x20, 0x20, 4), (0xa0, 0x28, 2)] as [(UInt16, UInt8, UInt8)] {
            output_byte(port, 0x11)
            output_byte(port + 1, base)
            output_byte(port + 1, wiring)
            output_byte(port + 1, 1)
        }
        mask(open: open)
    }

    static func mask(open: UInt16) {
        output_byte(0x21, UInt8(truncatingIfNeeded: ~open))
        output_byte(0xa1, UInt8(truncatingIfNeeded: ~open >> 8))
    }
}

@_cdecl("handle_interrupt")
func handleInterrupt(_ frame: UnsafeMutablePointer<exception_frame>) {
    let vector = frame.pointee.vector
    _ = add_atomically(Seen.address(vector), 1)
    // An NMI may have come in the middle of a request: it leaves the GHCB alone.
    if vector == Vector.nonMaskable { return }
    let place = add_atomically(Seen.logLength, 1)
    if place < 64 { store8(scratch_page() + 2056 + place, UInt8(truncatingIfNeeded: vector)) }
    switch vector {
    case 0x28..<0x30:
        if vector == 0x28 {
            output_byte(0x70, 0x0c)
            _ = input_byte(0x71)
        }
        output_byte(0xa0, 0x20)
        output_byte(0x20, 0x20)
    case 0x20..<0x28:
        if vector == 0x24 { SerialLine.take() }
        output_byte(0x20, 0x20)
    case Vector.spurious: break
    default:
        if vector == Vector.ping { LocalAPIC.send(Vector.pong, to: 0) }
        write_msr(0x80b, 0)
    }
}
