// Standard output and error, written with the system's own call, so that a full disk or a closed pipe is noticed.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One of the process's two output streams.
enum StandardStream: Int32 {
    case output = 1
    case error = 2

    /// Whether a person is watching.
    var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Sends a text whole; false if the system refuses.
    @discardableResult
    func send(_ text: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                // SAFETY: the call reads at most the buffer's own bytes.
                unsafe write(rawValue, $0.baseAddress, $0.count)
            }
            if count >= 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { return false }
        }
        return true
    }
}

/// Ends the process without running anything else.
func endProcess(_ status: CommandStatus) -> Never { exit(status.rawValue) }
