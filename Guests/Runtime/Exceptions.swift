// Exceptions: #VC is the guest's own emulator of a few instructions; faults with a fix-up are answers; the rest is the end.

import Hardware

enum Exceptions {
    static let generalProtection: UInt64 = 13
    static let communication: UInt64 = 29

    /// Builds the interrupt descriptor table of 32 gates and loads it.
    static func install() {
        for vector in 0..<32 as Range<UInt64> {
            let handler = exception_stubs() + vector * 16
            let gate = interrupt_table() + vector * 16
            // An interrupt gate in segment 8.
            store64(gate, handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48)
            store64(gate + 8, handler >> 32)
        }
        load()
    }

    /// Loads the table on this processor.
    static func load() { load_idt(interrupt_table(), 32 * 16 - 1) }

    /// What `probe_read` and its like return for an exception.
    static func faultCode(_ vector: UInt64, _ error: UInt64) -> UInt64 { 1 << 31 | vector << 16 | error & 0xffff }

    /// Goes on behind an instruction that may fault.
    static func fixUp(_ frame: UnsafeMutablePointer<exception_frame>, _ vector: UInt64, _ error: UInt64) -> Bool {
        for entry in stride(from: fixups_begin(), to: fixups_end(), by: 16) where load64(entry) == frame.pointee.rip {
            frame.pointee.rip = load64(entry + 8)
            frame.pointee.rax = faultCode(vector, error)
            frame.pointee.rflags &= ~1
            return true
        }
        return false
    }
}

@_cdecl("handle_exception")
func handleException(_ frame: UnsafeMutablePointer<exception_frame>) {
    var vector = frame.pointee.vector
    var error = frame.pointee.error
    if vector == Exceptions.communication {
        switch CommunicationException.handle(frame) {
        case .done: return
        case .notHandled: break
        case .raises(let other):
            vector = other
            error = 0
        }
    }
    if Exceptions.fixUp(frame, vector, error) { return }
    Console.flush()
    Console.write("exception ", decimal: vector)
    Console.write(", error 0x", hexadecimal: error)
    Console.write(", at 0x", hexadecimal: frame.pointee.rip)
    Console.writeLine()
    MSRProtocol.terminate(.exception)
}

/// Says why the guest cannot go on, and ends it.
func fail(_ reason: StaticString) -> Never {
    Console.flush()
    Console.write("cannot go on: ")
    Console.writeLine(reason)
    leave(2)
}
