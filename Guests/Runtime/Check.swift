// What a guest expects, and what it gets: one line each, and a count of what was otherwise.

/// Expectations of a guest.
enum Check {
    nonisolated(unsafe) static var failureCount: UInt64 = 0

    /// Says whether a rule holds.
    static func that(_ holds: Bool, _ rule: StaticString) {
        Console.write(holds ? "ok    " : "WRONG ")
        Console.writeLine(rule)
        if !holds { failureCount += 1 }
    }

    /// Says whether a number is the one that is specified.
    static func equal(_ value: UInt64, _ expected: UInt64, _ rule: StaticString) {
        Console.write(value == expected ? "ok    " : "WRONG ")
        Console.write(rule)
        Console.write(": 0x", hexadecimal: value)
        if value != expected {
            Console.write(", not 0x", hexadecimal: expected)
            failureCount += 1
        }
        Console.writeLine()
    }
}
