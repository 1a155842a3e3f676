// The other end of a guest's first serial line.

/// What a console has for the guest.
public enum ConsoleInput: Hashable, Sendable {
    /// Bytes, at least one.
    case bytes([UInt8])
    /// Nothing at the moment.
    case nothing
    /// Nothing any more.
    case end
    /// The user wants the guest to end.
    case quit
}

/// Where a guest's console goes and comes from.
public protocol GuestConsole: AnyObject {
    /// Whether a person types. Otherwise input is taken only when the guest waits for it, and the guest waits with it, so that
    /// the same input gives the same run.
    var isInteractive: Bool { get }
    /// Takes a byte that the guest wrote.
    func write(_ byte: UInt8)
    /// Gives input, and waits for some if there is none.
    ///
    /// - Parameter limit: how long to wait; nil for as long as it takes
    func read(waiting limit: Duration?) -> ConsoleInput
}

/// A console without a keyboard.
final class OutputConsole: GuestConsole {
    private let sink: (UInt8) -> Void
    init(_ sink: @escaping (UInt8) -> Void) { self.sink = sink }
    let isInteractive = false
    func write(_ byte: UInt8) { sink(byte) }
    func read(waiting limit: Duration?) -> ConsoleInput { .end }
}
