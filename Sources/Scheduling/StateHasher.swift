// A quick hash of a state, for telling explored states apart. Not for anything that an adversary chooses.

/// Mixes numbers into one.
@frozen public struct StateHasher: Sendable {
    /// The hash so far.
    public var value: UInt64

    /// Makes a hasher that has seen nothing.
    @inlinable public init(_ seed: UInt64 = 0x2545_f491_4f6c_dd1d) { value = seed }

    /// Mixes a number in; the order counts.
    @inlinable public mutating func combine(_ number: UInt64) {
        var mixed = (value ^ number) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 32) &* 0xd6e8_feb8_6659_fd93
        value = mixed ^ mixed >> 29
    }
}
