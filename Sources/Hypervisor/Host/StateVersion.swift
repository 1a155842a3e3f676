// Which of its states a part of the host is in: so that what is as it was need not be put back or hashed again.

internal import Scheduling

/// A number for the state of one part. Each change gives it a number never used before; putting a state back gives it the
/// number of that state.
struct StateVersion {
    private(set) var current: UInt64 = 0
    private var last: UInt64 = 0
    private var hashed: UInt64 = .max
    private var hash: UInt64 = 0

    /// The state changes; tells an exploration.
    mutating func change() {
        noteChange()
        last += 1
        current = last
    }

    /// The state that had this number is put back.
    mutating func goBack(to version: UInt64) { current = version }

    /// The hash of the state: `body` makes it, once for each state in a row.
    mutating func combine(into hasher: inout StateHasher, _ body: (inout StateHasher) -> Void) {
        if hashed != current {
            var own = StateHasher()
            body(&own)
            hash = own.value
            hashed = current
        }
        hasher.combine(hash)
    }
}
