// Input by the serial line's interrupt: what arrives is sent back, up to the end of a line.

import Hardware

enum SerialLine {
    private static var length: UInt64 { scratch_page() + 3080 }
    private static var isComplete: UInt64 { scratch_page() + 3088 }
    private static var text: UInt64 { scratch_page() + 3096 }

    /// Takes what has arrived, up to the end of the line, and wants no more then.
    static func take() {
        while load64(isComplete) == 0, input_byte(0x3fd) & 1 != 0 {
            let byte = input_byte(0x3f8)
            let count = load64(length)
            if byte == 0x0a || byte == 0x0d {
                store64(isComplete, 1)
                output_byte(0x3f9, 0)
            } else if count < 256 {
                store8(text + count, byte)
                store64(length, count + 1)
            }
        }
    }

    static func echo() {
        Controllers.initialize(open: 1 << 4)
        // FIFOs, OUT2, and the interrupt for received data.
        output_byte(0x3fa, 1)
        output_byte(0x3fc, 8)
        output_byte(0x3f9, 1)
        Console.writeLine("ticks: waiting")
        Console.flush()
        while load64(isComplete) == 0 { halt_for_interrupt() }
        Console.write("you said: ")
        for index in 0..<load64(length) { Console.write(byte: load8(text + index)) }
        Console.writeLine()
    }
}
