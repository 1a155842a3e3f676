// Numbers modulo n, the order of P-384: the part of ECDSA that is not points of the curve.
//
// Time depends on the values. The keys are an emulated chip's and open to all who read this: there is nothing to leak.

/// A number below the order of P-384.
struct P384Scalar: Sendable {
    private typealias Words = InlineArray<6, UInt64>

    /// The least significant word first.
    private var words: Words

    /// n.
    private static let order: Words = [
        0xecec_196a_ccc5_2973, 0x581a_0db2_48b0_a77a, 0xc763_4d81_f437_2ddf, ~0, ~0, ~0,
    ]
    /// -1/n modulo 2^64.
    private static let negatedInverse: UInt64 = 0x6ed4_6089_e88f_dc45
    /// 2^768 modulo n.
    private static let radixSquared: Words = [
        0x2d31_9b24_19b4_09a9, 0xff3d_81e5_df1a_a419, 0xbc3e_483a_fcb8_2947, 0xd40d_4917_4aab_1cc5,
        0x3fb0_5b7a_2826_6895, 0x0c84_ee01_2b39_bf21,
    ]
    private static let one: Words = [1, 0, 0, 0, 0, 0]

    private init(_ words: Words) { self.words = words }

    /// Reads 48 big-endian bytes; nil if the number is not below n.
    init?(bigEndian bytes: some Sequence<UInt8>) {
        words = Self.read(bytes)
        guard Self.difference(words, Self.order).borrow == 1 else { return nil }
    }

    /// Reads 48 big-endian bytes modulo n.
    init(reducing bytes: some Sequence<UInt8>) {
        let number = Self.read(bytes)
        let (rest, borrow) = Self.difference(number, Self.order)
        words = borrow == 1 ? number : rest
    }

    private static func read(_ bytes: some Sequence<UInt8>) -> Words {
        var words = Words(repeating: 0)
        for byte in bytes {
            for index in (1..<6).reversed() { words[index] = words[index] << 8 | words[index - 1] >> 56 }
            words[0] = words[0] << 8 | UInt64(byte)
        }
        return words
    }

    /// 48 big-endian bytes.
    var bigEndian: [UInt8] {
        (0..<48).map { UInt8(truncatingIfNeeded: words[(47 - $0) / 8] >> UInt64((47 - $0) % 8 * 8)) }
    }

    var isZero: Bool {
        for index in 0..<6 where words[index] != 0 { return false }
        return true
    }

    static func + (a: P384Scalar, b: P384Scalar) -> P384Scalar {
        var sum = Words(repeating: 0)
        var carry: UInt64 = 0
        for index in 0..<6 {
            let (first, overflow) = a.words[index].addingReportingOverflow(b.words[index])
            let (second, again) = first.addingReportingOverflow(carry)
            sum[index] = second
            carry = overflow || again ? 1 : 0
        }
        let (rest, borrow) = difference(sum, order)
        return P384Scalar(carry == 0 && borrow == 1 ? sum : rest)
    }

    static func * (a: P384Scalar, b: P384Scalar) -> P384Scalar {
        P384Scalar(montgomeryProduct(montgomeryProduct(a.words, b.words), radixSquared))
    }

    /// The number whose product with this one is 1. Zero has none.
    var inverse: P384Scalar {
        precondition(!isZero, "zero has no inverse")
        // Euclid's algorithm without division: u = x * self and v = y * self modulo n throughout, and v is odd.
        var (u, v) = (words, Self.order)
        var (x, y) = (Self.one, Words(repeating: 0))
        while true {
            while u[0] & 1 == 0 {
                let count = UInt64(min(u[0].trailingZeroBitCount, 63))
                u = Self.shifted(u, 0, by: count)
                x = Self.quotient(x, byTwoToThe: count)
            }
            if u[0] == 1, Self.difference(Self.one, u).borrow == 0 { return P384Scalar(x) }
            var (rest, borrow) = Self.difference(u, v)
            if borrow == 1 {
                swap(&u, &v)
                swap(&x, &y)
                (rest, borrow) = Self.difference(u, v)
            }
            u = rest
            x = Self.remainder(x, minus: y)
        }
    }

    private static func difference(_ a: Words, _ b: Words) -> (rest: Words, borrow: UInt64) {
        var rest = Words(repeating: 0)
        var borrow: UInt64 = 0
        for index in 0..<6 {
            let (first, overflow) = a[index].subtractingReportingOverflow(b[index])
            let (second, again) = first.subtractingReportingOverflow(borrow)
            rest[index] = second
            borrow = overflow || again ? 1 : 0
        }
        return (rest, borrow)
    }

    /// `a - b` modulo n.
    private static func remainder(_ a: Words, minus b: Words) -> Words {
        let (rest, borrow) = difference(a, b)
        return borrow == 0 ? rest : difference(rest, difference(Words(repeating: 0), order).rest).rest
    }

    /// `number / 2^count` modulo n, for at most 63 bits: the multiple of n that makes the low bits zero is added first.
    private static func quotient(_ number: Words, byTwoToThe count: UInt64) -> Words {
        let factor = number[0] &* negatedInverse & (1 << count - 1)
        var sum = Words(repeating: 0)
        var carry: UInt64 = 0
        for index in 0..<6 { (carry, sum[index]) = product(factor, order[index], plus: number[index], carry) }
        return shifted(sum, carry, by: count)
    }

    /// Seven words shifted right by 1 to 63 bits.
    private static func shifted(_ low: Words, _ high: UInt64, by count: UInt64) -> Words {
        var result = Words(repeating: high >> count)
        for index in 0..<5 { result[index] = low[index] &>> count | low[index + 1] &<< (64 - count) }
        result[5] = low[5] &>> count | high &<< (64 - count)
        return result
    }

    /// `a * b + c + d`, which two words always hold.
    private static func product(
        _ a: UInt64, _ b: UInt64, plus c: UInt64, _ d: UInt64
    ) -> (high: UInt64, low: UInt64) {
        let full = a.multipliedFullWidth(by: b)
        let (first, overflow) = full.low.addingReportingOverflow(c)
        let (second, again) = first.addingReportingOverflow(d)
        return (full.high &+ (overflow ? 1 : 0) &+ (again ? 1 : 0), second)
    }

    /// `a * b / 2^384` modulo n.
    private static func montgomeryProduct(_ a: Words, _ b: Words) -> Words {
        var sum = Words(repeating: 0)
        var top: UInt64 = 0
        for step in 0..<6 {
            var carry: UInt64 = 0
            for index in 0..<6 { (carry, sum[index]) = product(a[index], b[step], plus: sum[index], carry) }
            let (upper, overflow) = top.addingReportingOverflow(carry)
            let factor = sum[0] &* negatedInverse
            carry = product(factor, order[0], plus: sum[0], 0).high
            for index in 1..<6 { (carry, sum[index - 1]) = product(factor, order[index], plus: sum[index], carry) }
            let (last, again) = upper.addingReportingOverflow(carry)
            sum[5] = last
            top = (overflow ? 1 : 0) + (again ? 1 : 0)
        }
        let (rest, borrow) = difference(sum, order)
        return top == 0 && borrow == 1 ? sum : rest
    }
}
