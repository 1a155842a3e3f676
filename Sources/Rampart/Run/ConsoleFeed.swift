// Brings a console's input to the serial line when the guest waits for some.

internal import Monitor

/// Input on its way to a guest.
struct ConsoleFeed {
    let console: any GuestConsole
    private let serial: SerialPort
    private var waiting: [UInt8] = []
    private(set) var hasEnded = false
    /// The user wants the guest to end.
    private(set) var quits = false

    /// What is kept of a user's keys while the guest takes none.
    private static let limit = 4096

    init(_ console: any GuestConsole, _ serial: SerialPort) {
        self.console = console
        self.serial = serial
    }

    /// Hands over what fits if the guest waits for input: what came earlier would be lost when it sets the line up. Nobody is
    /// waited for, but for input that is no person's and that the guest waits for.
    ///
    /// - Parameter limit: how long the guest may stand still
    mutating func supply(waiting limit: Duration?) {
        if !hasEnded {
            if console.isInteractive {
                if waiting.count < Self.limit { take(console.read(waiting: .zero)) }
            } else if waiting.isEmpty, serial.wantsInput {
                take(console.read(waiting: limit))
            }
        }
        hand()
    }

    /// Waits for input while nothing else can happen.
    mutating func wait(atMost limit: Duration?) {
        guard !hasEnded else { return }
        take(console.read(waiting: limit))
        hand()
    }

    private mutating func take(_ input: ConsoleInput) {
        switch input {
        case .bytes(let bytes): waiting += bytes
        case .nothing: break
        case .end: hasEnded = true
        case .quit: quits = true
        }
    }

    private mutating func hand() {
        guard serial.wantsInput else { return }
        let count = min(serial.room, waiting.count)
        for byte in waiting.prefix(count) { serial.receive(byte) }
        waiting.removeFirst(count)
    }
}
