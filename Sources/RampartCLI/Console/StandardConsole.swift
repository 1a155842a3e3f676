// The console of `rampart run`: a terminal with its keys, or streams.

internal import CPlatform
internal import Rampart

/// The process's standard streams as a guest's console.
///
/// A terminal is in raw mode from `init` to `close`, and again as it was at every end of the process, by a signal too.
final class StandardConsole: GuestConsole {
    /// What standard input is.
    enum Input {
        /// A person's keyboard, and standard output is the person's screen.
        case terminal
        /// A file or a pipe.
        case stream
        /// Nothing that a guest may have: a keyboard without a screen.
        case none

        /// What the process has.
        static var standard: Input {
            guard StandardStream.isInputTerminal else { return .stream }
            return StandardStream.output.isTerminal ? .terminal : .none
        }
    }

    let isInteractive: Bool
    private let hasInput: Bool
    private let isSilent: Bool
    private var keys = EscapeKeys()
    private var line: [UInt8] = []

    /// Makes the console.
    ///
    /// - Parameters:
    ///   - input: what standard input is
    ///   - isSilent: nothing is printed, and a terminal is left alone
    init(_ input: Input, isSilent: Bool) {
        self.isSilent = isSilent
        isInteractive = input == .terminal && !isSilent && cp_terminal_enter(0) == 0
        hasInput = input == .stream || isInteractive
    }

    /// Prints what is left of a line, and gives the terminal back.
    func close() {
        if !line.isEmpty { send(line + [UInt8(ascii: "\n")]) }
        line = []
        if isInteractive { cp_terminal_leave() }
    }

    func write(_ byte: UInt8) {
        guard !isSilent else { return }
        // A person sees a prompt at once, a stream gets whole lines.
        if isInteractive { return send([byte]) }
        line.append(byte)
        guard byte == UInt8(ascii: "\n") else { return }
        send(line)
        line.removeAll()
    }

    private func send(_ bytes: [UInt8]) { StandardStream.output.send(bytes) }

    func read(waiting limit: Duration?) -> ConsoleInput {
        guard hasInput else { return .end }
        switch StandardStream.readInput(waiting: limit) {
        case .nothing: return .nothing
        case .end: return .end
        case .bytes(let bytes):
            guard isInteractive else { return .bytes(bytes) }
            switch keys.take(bytes) {
            case .quit: return .quit
            case .bytes(let rest): return rest.isEmpty ? .nothing : .bytes(rest)
            case .help(let rest):
                send(Array(EscapeKeys.helpText.utf8))
                return rest.isEmpty ? .nothing : .bytes(rest)
            }
        case .quit: return .quit
        }
    }
}
