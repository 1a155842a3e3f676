// Standard output and error, written with the system's own call, so that a full disk or a closed pipe is noticed.

import CPlatform
import Rampart

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
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Sends bytes whole; false if the system refuses.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var bytes = bytes[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                // SAFETY: the call reads at most the buffer's own bytes.
                unsafe write(rawValue, $0.baseAddress, $0.count)
            }
            if count >= 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { return false }
        }
        return true
    }

    /// Whether a person types.
    static var isInputTerminal: Bool { isatty(0) == 1 }

    /// Reads what is there of standard input.
    ///
    /// - Parameter limit: how long to wait if there is nothing; nil for as long as it takes
    static func readInput(waiting limit: Duration?) -> ConsoleInput {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = unsafe bytes.withUnsafeMutableBufferPointer {
            // SAFETY: the call writes at most the buffer's own bytes.
            unsafe cp_read_waiting(0, $0.baseAddress, $0.count, limit.map(milliseconds) ?? -1)
        }
        guard count > 0 else { return count == Int(CP_READ_NOTHING) ? .nothing : .end }
        return .bytes(Array(bytes.prefix(count)))
    }

    /// Rounded up, so that a wait is never shorter than was asked for.
    private static func milliseconds(_ limit: Duration) -> Int64 {
        let (seconds, attoseconds) = limit.components
        guard seconds < 1 << 20 else { return 1 << 30 }
        return max(0, seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// Ends the process without running anything else.
func endProcess(_ status: CommandStatus) -> Never { exit(status.rawValue) }
