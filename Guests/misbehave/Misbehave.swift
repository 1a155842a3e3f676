// Breaks each rule on purpose and expects the specified answer. The command line names cases; without one, every case runs
// that the guest survives.

import Hardware

func guestMain() {
    _ = Session.open()
    breakPageRules()
    breakPageStateChange()
    breakGHCB()
    breakProcessorCreation()
    breakMessages()
    dieInNamedWay()
    if Case.count == 0 { fail("no case of that name; see Guests/README.md") }
    Console.write("misbehave: ", decimal: Case.count)
    Console.writeLine(" cases")
}

/// One way to break the rules.
enum Case {
    nonisolated(unsafe) static var count: UInt64 = 0

    /// Runs a case if it is named, or if none is.
    static func survived(_ name: StaticString, _ body: () -> Void) {
        guard !boot.hasCommandLine || boot.says(name) else { return }
        begin(name)
        body()
    }

    /// Runs a case that ends the guest, if it is named.
    static func fatal(_ name: StaticString, _ expected: StaticString, _ body: () -> Void) {
        guard boot.says(name) else { return }
        begin(name)
        Console.write("expect ")
        Console.writeLine(expected)
        body()
        Check.that(false, "the guest goes on after what should have ended it")
    }

    private static func begin(_ name: StaticString) {
        count += 1
        Console.write("-- ")
        Console.writeLine(name)
    }
}

/// Answers of the host that several cases expect.
enum Answer {
    static let malformed: UInt64 = 2
    static let invalidUsage: UInt64 = 2
    static let invalidScratch: UInt64 = 3
    static let missingInput: UInt64 = 4
    static let invalidInput: UInt64 = 5
    static let invalidEvent: UInt64 = 6
}

/// A request of a page that expects a malformed-input answer.
func refuses(_ reason: UInt64, _ rule: StaticString, _ request: (GHCB) -> GHCBResult) {
    Console.flush()
    guard let ghcb = GHCB.current else { return }
    ghcb.begin()
    let result = request(ghcb)
    Check.equal(result.action << 32 | result.info2, Answer.malformed << 32 | reason, rule)
}
