// The arithmetic that makes an RSA key from two primes, and no more: no division but by one limb, no modular powers.

/// A number of any size that is not negative.
struct LargeInteger: Hashable, Sendable {
    /// The limbs, the lowest first; the highest is not zero.
    private var limbs: [UInt64]

    private init(limbs: [UInt64]) {
        self.limbs = limbs
        while self.limbs.last == 0 { self.limbs.removeLast() }
    }

    /// Reads a number from its big-endian bytes.
    init(bigEndian bytes: [UInt8]) {
        var limbs = [UInt64](repeating: 0, count: (bytes.count + 7) / 8)
        for (index, byte) in bytes.reversed().enumerated() { limbs[index / 8] |= UInt64(byte) << (index % 8 * 8) }
        self.init(limbs: limbs)
    }

    /// The number in a given count of big-endian bytes, in which it must fit.
    func bigEndian(byteCount: Int) -> [UInt8] {
        precondition(limbs.count <= (byteCount + 7) / 8, "the number does not fit")
        var bytes = [UInt8](repeating: 0, count: byteCount)
        for index in 0..<byteCount where index / 8 < limbs.count {
            bytes[byteCount - 1 - index] = UInt8(truncatingIfNeeded: limbs[index / 8] >> (index % 8 * 8))
        }
        return bytes
    }

    static func + (left: Self, right: UInt64) -> Self {
        var limbs = left.limbs
        var carry = right
        for index in limbs.indices where carry > 0 {
            let sum = limbs[index].addingReportingOverflow(carry)
            limbs[index] = sum.partialValue
            carry = sum.overflow ? 1 : 0
        }
        return Self(limbs: carry > 0 ? limbs + [carry] : limbs)
    }

    /// The number less one; it must not be zero.
    var predecessor: Self {
        precondition(!limbs.isEmpty, "zero has no predecessor")
        var limbs = limbs
        for index in limbs.indices {
            limbs[index] &-= 1
            if limbs[index] != .max { break }
        }
        return Self(limbs: limbs)
    }

    static func * (left: Self, right: Self) -> Self {
        var limbs = [UInt64](repeating: 0, count: left.limbs.count + right.limbs.count)
        for (index, factor) in left.limbs.enumerated() {
            var carry: UInt64 = 0
            for (offset, other) in right.limbs.enumerated() {
                let product = factor.multipliedFullWidth(by: other)
                let first = product.low.addingReportingOverflow(carry)
                let second = first.partialValue.addingReportingOverflow(limbs[index + offset])
                limbs[index + offset] = second.partialValue
                carry = product.high + (first.overflow ? 1 : 0) + (second.overflow ? 1 : 0)
            }
            limbs[index + right.limbs.count] = carry
        }
        return Self(limbs: limbs)
    }
    static func * (left: Self, right: UInt64) -> Self { left * Self(limbs: [right]) }

    func quotientAndRemainder(dividingBy divisor: UInt64) -> (quotient: Self, remainder: UInt64) {
        var quotient = limbs
        var remainder: UInt64 = 0
        for index in limbs.indices.reversed() {
            (quotient[index], remainder) = divisor.dividingFullWidth((remainder, limbs[index]))
        }
        return (Self(limbs: quotient), remainder)
    }
}
