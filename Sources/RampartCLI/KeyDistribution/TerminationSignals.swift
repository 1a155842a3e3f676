// Waiting for the signals that ask a program to end, without a handler that could interrupt anything.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// SIGINT and SIGTERM, kept back until somebody waits for them.
struct TerminationSignals {
    private var set = sigset_t()

    /// Keeps the signals back from this thread and from all that it starts afterwards. SIGPIPE goes the same way: a client
    /// that is gone shows in the result of a write.
    init() {
        // SAFETY: the calls read and write the set, which lives as long as self, and nothing else.
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        var blocked = set
        unsafe sigaddset(&blocked, SIGPIPE)
        unsafe pthread_sigmask(SIG_BLOCK, &blocked, nil)
    }

    /// Waits for one of them.
    ///
    /// - Returns: its name
    mutating func wait() -> String {
        var number: Int32 = 0
        // SAFETY: the call reads the set and writes the number.
        while unsafe sigwait(&set, &number) != 0 {}
        return number == SIGINT ? "SIGINT" : "SIGTERM"
    }
}
