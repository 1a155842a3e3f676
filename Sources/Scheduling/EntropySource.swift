// Random numbers: the same sequence from the same seed, or the system's. Not for keys of anything but test machines.

/// A source of random numbers. A seed gives the same numbers on every run.
///
/// The generator is xoshiro256**, its state filled from the seed by SplitMix64: fast and even, and not secret.
public struct EntropySource: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Makes a source that repeats itself for the same seed.
    public init(seed: UInt64) {
        var splitMix = seed
        func next() -> UInt64 {
            splitMix &+= 0x9e37_79b9_7f4a_7c15
            var z = splitMix
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        state = (next(), next(), next(), next())
    }

    /// Makes a source with a seed from the system, different on every run.
    public static func system() -> EntropySource {
        var generator = SystemRandomNumberGenerator()
        return EntropySource(seed: generator.next())
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        let mixed = rotate(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotate(state.3, 45)
        return mixed
    }

    /// Fills `bytes` with random bytes.
    public mutating func fill(_ bytes: inout MutableSpan<UInt8>) {
        var word: UInt64 = 0
        for index in bytes.indices {
            if index % 8 == 0 { word = next() }
            bytes[index] = UInt8(truncatingIfNeeded: word)
            word >>= 8
        }
    }

    /// So many random bytes.
    public mutating func bytes(count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var span = result.mutableSpan
        fill(&span)
        return result
    }

    /// An independent source, for a part that must not be disturbed by how much the others draw.
    public mutating func split() -> EntropySource { EntropySource(seed: next()) }

    private func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { (value << count) | (value >> (64 &- count)) }
}
