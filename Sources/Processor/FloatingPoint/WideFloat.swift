// Numbers of 128 significant bits, in which the transcendental functions are computed before they are rounded once.

/// A number of 128 bits. Results are cut, so that each operation is wrong by less than one in the last bit.
struct WideFloat {
    var isNegative: Bool
    /// Of the leading bit. Meaningless for zero.
    var exponent: Int
    /// With its leading bit at the top; 0 for zero.
    var significand: UInt128

    init(isNegative: Bool = false, exponent: Int, significand: UInt128) {
        self.isNegative = isNegative
        self.exponent = exponent
        self.significand = significand
    }

    init(normalising significand: UInt128, isNegative: Bool, exponent: Int) {
        let shift = significand.leadingZeroBitCount
        self.init(
            isNegative: isNegative, exponent: exponent - shift,
            significand: shift == 128 ? 0 : significand << UInt128(shift))
    }

    init(_ constant: (exponent: Int, significand: UInt128)) {
        self.init(exponent: constant.exponent, significand: constant.significand)
    }

    init(_ value: Int) {
        self.init(normalising: UInt128(value.magnitude), isNegative: value < 0, exponent: 127)
    }

    /// A finite number.
    init(_ number: ExtendedFloat) {
        guard number.kind != .zero else {
            self.init(isNegative: number.isNegative, exponent: 0, significand: 0)
            return
        }
        let x = number.normalised
        self.init(isNegative: x.isNegative, exponent: x.exponent, significand: UInt128(x.significand) << 64)
    }

    static let zero = Self(exponent: 0, significand: 0)
    static let one = Self(exponent: 0, significand: 1 << 127)

    var isZero: Bool { significand == 0 }
    var negated: Self { Self(isNegative: !isNegative, exponent: exponent, significand: significand) }
    var magnitude: Self { Self(isNegative: false, exponent: exponent, significand: significand) }
    /// The next number towards zero: what stands for a value that is less by too little to be seen.
    var below: Self {
        guard significand > 1 << 127 else {
            return Self(isNegative: isNegative, exponent: exponent - 1, significand: .max)
        }
        return Self(isNegative: isNegative, exponent: exponent, significand: significand - 1)
    }
    /// Times a power of two.
    func scaled(_ power: Int) -> Self {
        Self(isNegative: isNegative, exponent: exponent + power, significand: significand)
    }

    static func + (a: Self, b: Self) -> Self {
        if a.isZero { return b }
        if b.isZero { return a }
        let isOrdered = (a.exponent, a.significand) >= (b.exponent, b.significand)
        let (large, small) = isOrdered ? (a, b) : (b, a)
        let distance = large.exponent - small.exponent
        let y = distance < 128 ? small.significand >> UInt128(distance) : 0
        if large.isNegative == small.isNegative {
            let (sum, carry) = large.significand.addingReportingOverflow(y)
            guard carry else { return Self(isNegative: large.isNegative, exponent: large.exponent, significand: sum) }
            return Self(
                isNegative: large.isNegative, exponent: large.exponent + 1, significand: sum >> 1 | 1 << 127)
        }
        return Self(normalising: large.significand - y, isNegative: large.isNegative, exponent: large.exponent)
    }

    static func - (a: Self, b: Self) -> Self { a + b.negated }

    static func * (a: Self, b: Self) -> Self {
        guard !a.isZero, !b.isZero else { return .zero }
        let product = a.significand.multipliedFullWidth(by: b.significand)
        return Self(
            normalising: product.high, isNegative: a.isNegative != b.isNegative, exponent: a.exponent + b.exponent + 1)
    }

    static func / (a: Self, b: Self) -> Self {
        guard !a.isZero, !b.isZero else { return .zero }
        // Half of the dividend is less than the divisor.
        let (quotient, _) = b.significand.dividingFullWidth((a.significand >> 1, a.significand << 127))
        return Self(
            normalising: quotient, isNegative: a.isNegative != b.isNegative, exponent: a.exponent - b.exponent)
    }

    /// Divided by a small number.
    func divided(by number: Int) -> Self { self / Self(number) }

    static func < (a: Self, b: Self) -> Bool { (a - b).isNegative && !(a - b).isZero }

    /// The nearest integer, of a number below 2^62.
    var nearestInteger: Int {
        guard !isZero, exponent >= -1 else { return 0 }
        let doubled = significand >> UInt128(126 - exponent)
        let value = Int(truncatingIfNeeded: (doubled + 1) >> 1)
        return isNegative ? -value : value
    }
}

/// Constants to 128 bits.
enum FloatingPointConstants {
    static let pi: (exponent: Int, significand: UInt128) = (1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1)
    static let log2e: (exponent: Int, significand: UInt128) = (0, 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89)
    static let ln2: (exponent: Int, significand: UInt128) = (-1, 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af)
    /// Arcus tangents of 0, 1/4, 1/2, 3/4 and 1.
    static let arcTangents: [(exponent: Int, significand: UInt128)] = [
        (0, 0), (-3, 0xfadb_afc9_6406_eb15_6dc7_9ef5_f7a2_17e5), (-2, 0xed63_382b_0dda_7b45_6fe4_45ec_bc3a_8d03),
        (-1, 0xa4bc_7d19_34f7_0924_19a8_7f2a_457d_ac9f), (-1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1),
    ]
}
