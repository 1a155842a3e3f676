// Text for people, results for programs, and the end: three ports, written through the GHCB in strings of bytes.

import Hardware

enum Port {
    /// The first serial line.
    static let console: UInt64 = 0x3f8
    /// Bytes written here are the guest's result: an attestation report.
    static let result: UInt64 = 0xe9
    /// A 32-bit number written here ends the guest with it.
    static let exit: UInt64 = 0xf4
}

/// OUTS of bytes in the GHCB's shared buffer.
func outputBuffer(_ port: UInt64, count: UInt64) {
    guard let ghcb = GHCB.current, count > 0 else { return }
    ghcb.begin()
    ghcb.set(.scratch, ghcb.buffer)
    _ = ghcb.call(ExitCode.ioio, port << 16 | 3 << 10 | 1 << 9 | 1 << 4 | 1 << 3 | 1 << 2, count)
}

/// Sends bytes of private memory to a port.
func output(_ port: UInt64, _ address: UInt64, count: UInt64) {
    Console.flush()
    guard let ghcb = GHCB.current else { return }
    var done: UInt64 = 0
    while done < count {
        let piece = min(count - done, GHCB.sharedBufferSize)
        for index in 0..<piece { store8(ghcb.buffer + index, load8(address + done + index)) }
        outputBuffer(port, count: piece)
        done += piece
    }
}

/// Ends the guest. A host without an exit port gets a termination request.
func leave(_ status: UInt32) -> Never {
    Console.flush()
    if let ghcb = GHCB.current {
        ghcb.begin()
        ghcb.set(.rax, UInt64(status))
        _ = ghcb.call(ExitCode.ioio, Port.exit << 16 | 1 << 9 | 1 << 6)
    }
    MSRProtocol.terminate(.general)
}

/// Lines of text. A line is built in the shared buffer and leaves it at its end, or before another request.
enum Console {
    nonisolated(unsafe) private static var length: UInt64 = 0

    static func flush() {
        let count = length
        length = 0
        outputBuffer(Port.console, count: count)
    }

    static func write(byte: UInt8) {
        guard let ghcb = GHCB.current else { return }
        store8(ghcb.buffer + length, byte)
        length += 1
        if byte == 0x0a || length == 256 { flush() }
    }

    static func write(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount { write(byte: text.utf8Start[index]) }
    }

    static func write(_ text: StaticString, hexadecimal value: UInt64) {
        write(text)
        var shift: UInt64 = 60
        while shift > 0 && value >> shift == 0 { shift -= 4 }
        while true {
            write(digit: value >> shift & 15)
            if shift == 0 { break }
            shift -= 4
        }
    }

    static func write(_ text: StaticString, decimal value: UInt64) {
        write(text)
        var scale: UInt64 = 1
        while value / scale >= 10 { scale *= 10 }
        while scale > 0 {
            write(digit: value / scale % 10)
            scale /= 10
        }
    }

    static func write(_ text: StaticString, bytes address: UInt64, count: UInt64) {
        write(text)
        for index in 0..<count {
            let byte = UInt64(load8(address + index))
            write(digit: byte >> 4)
            write(digit: byte & 15)
        }
    }

    static func writeLine(_ text: StaticString = "") {
        write(text)
        write(byte: 0x0a)
    }

    private static func write(digit: UInt64) {
        write(byte: UInt8(truncatingIfNeeded: digit < 10 ? 0x30 + digit : 0x61 + digit - 10))
    }
}
