// From a derived number of 56 bytes to a private key: one division with remainder.

/// Private keys of P-384 from longer numbers.
enum P384KeyNumber {
    /// n - 1, the least significant word first.
    private static let orderMinusOne: [UInt64] = [
        0xecec_196a_ccc5_2972, 0x581a_0db2_48b0_a77a, 0xc763_4d81_f437_2ddf, ~0, ~0, ~0, 0,
    ]

    /// `number mod (n - 1) + 1`, as 48 big-endian bytes.
    static func reduce(littleEndian number: [UInt8]) -> [UInt8] {
        var rest = [UInt64](repeating: 0, count: 7)
        for byte in number.reversed() {
            for bit in (0..<8).reversed() {
                var carry = UInt64(byte >> UInt8(bit) & 1)
                for index in rest.indices { (rest[index], carry) = (rest[index] << 1 | carry, rest[index] >> 63) }
                if !isLess(rest, orderMinusOne) { subtract(orderMinusOne, from: &rest) }
            }
        }
        for index in rest.indices {
            rest[index] &+= 1
            if rest[index] != 0 { break }
        }
        return (0..<48).map { UInt8(truncatingIfNeeded: rest[(47 - $0) / 8] >> UInt64((47 - $0) % 8 * 8)) }
    }

    private static func isLess(_ a: [UInt64], _ b: [UInt64]) -> Bool {
        for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] }
        return false
    }

    private static func subtract(_ b: [UInt64], from a: inout [UInt64]) {
        var borrow: UInt64 = 0
        for index in a.indices {
            let (first, overflow) = a[index].subtractingReportingOverflow(b[index])
            let (second, again) = first.subtractingReportingOverflow(borrow)
            a[index] = second
            borrow = overflow || again ? 1 : 0
        }
    }
}
