// Progress of long work: one line on standard error that is written over, and only on a terminal.

/// Shows how far a command has come.
enum Progress {
    /// Shows a step, in place of the one before.
    static func show(_ text: String) {
        guard StandardStream.error.isTerminal else { return }
        StandardStream.error.send("\r\u{1b}[K\(text)")
    }

    /// Takes the line away.
    static func clear() {
        guard StandardStream.error.isTerminal else { return }
        StandardStream.error.send("\r\u{1b}[K")
    }
}
