// How much the random tests do: RAMPART_TEST_SCALE multiplies the number of seeds, for long runs.

import Glibc

/// The seeds of a random test.
enum TestScale {
    /// So many seeds, times RAMPART_TEST_SCALE.
    static func seeds(_ count: UInt64, from first: UInt64 = 1) -> Range<UInt64> {
        let scale = unsafe getenv("RAMPART_TEST_SCALE").flatMap { unsafe UInt64(String(cString: $0)) } ?? 1
        return first..<first + count * max(scale, 1)
    }
}
