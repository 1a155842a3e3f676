// The 80-bit format of x87 as bits, and what kind of number they are.

/// A number in the 80-bit format: an explicit integer bit, 15 bits of exponent, a sign.
///
/// - Spec: APM1 6.3
struct ExtendedFloat: Hashable, Sendable {
    var significand: UInt64
    /// The exponent with its bias of 16383, and the sign in bit 15.
    var signAndExponent: UInt16

    init(significand: UInt64, signAndExponent: UInt16) {
        self.significand = significand
        self.signAndExponent = signAndExponent
    }

    init(isNegative: Bool, exponent: Int, significand: UInt64) {
        self.significand = significand
        signAndExponent = UInt16(truncatingIfNeeded: exponent & 0x7fff) | (isNegative ? 0x8000 : 0)
    }

    /// What the bits stand for.
    enum Kind: Hashable {
        case zero, denormal, normal, infinity, quietNaN, signalingNaN
        /// What the processor has not made since the 80287: #IA as an operand.
        case unsupported
    }

    var isNegative: Bool { signAndExponent & 0x8000 != 0 }
    var exponent: Int { Int(signAndExponent & 0x7fff) }
    private var integerBit: Bool { significand >> 63 != 0 }

    var kind: Kind {
        switch exponent {
        case 0: return significand == 0 ? .zero : .denormal
        case 0x7fff:
            guard integerBit else { return .unsupported }
            if significand << 1 == 0 { return .infinity }
            return significand & 1 << 62 != 0 ? .quietNaN : .signalingNaN
        default: return integerBit ? .normal : .unsupported
        }
    }

    var isNaN: Bool { kind == .quietNaN || kind == .signalingNaN }
    var negated: Self { Self(significand: significand, signAndExponent: signAndExponent ^ 0x8000) }
    var magnitude: Self { Self(significand: significand, signAndExponent: signAndExponent & 0x7fff) }
    var quieted: Self { Self(significand: significand | 1 << 62, signAndExponent: signAndExponent) }

    /// What a masked #IA gives.
    static let indefinite = Self(significand: 0xc000_0000_0000_0000, signAndExponent: 0xffff)
    static let one = Self(significand: 1 << 63, signAndExponent: 0x3fff)
    static func zero(isNegative: Bool = false) -> Self {
        Self(significand: 0, signAndExponent: isNegative ? 0x8000 : 0)
    }
    static func infinity(isNegative: Bool = false) -> Self {
        Self(significand: 1 << 63, signAndExponent: isNegative ? 0xffff : 0x7fff)
    }

    /// A finite number other than zero, with its leading bit at the top. The value is significand * 2^(exponent - 63).
    var normalised: Normalised {
        let shift = significand.leadingZeroBitCount
        // Exponent 0 counts as 1, whatever the integer bit.
        return Normalised(
            isNegative: isNegative, exponent: max(1, exponent) - 16383 - shift,
            significand: significand << UInt64(shift))
    }

    /// The sign, the unbiased exponent of the leading bit, and the bits from that on.
    struct Normalised {
        var isNegative: Bool
        var exponent: Int
        var significand: UInt64
    }
}

/// A number of any precision on its way to being rounded: leading bit at the top, and the last bit set if more follows.
struct Unrounded {
    var isNegative: Bool
    /// Of the leading bit, without bias.
    var exponent: Int
    var significand: UInt128

    init(isNegative: Bool, exponent: Int, significand: UInt128) {
        self.isNegative = isNegative
        self.exponent = exponent
        self.significand = significand
    }

    /// Brings the leading bit to the top; the value of the top bit of `significand` is 2^exponent.
    init(normalising significand: UInt128, isNegative: Bool, exponent: Int) {
        let shift = significand.leadingZeroBitCount
        self.init(isNegative: isNegative, exponent: exponent - shift, significand: significand << UInt128(shift))
    }

    init(_ number: ExtendedFloat.Normalised) {
        self.init(
            isNegative: number.isNegative, exponent: number.exponent, significand: UInt128(number.significand) << 64)
    }
}

extension UInt128 {
    /// A right shift that keeps in the last bit whether a bit has been lost.
    func shiftedRightKeepingTrace(_ count: Int) -> UInt128 {
        guard count > 0 else { return self }
        guard count < 128 else { return self == 0 ? 0 : 1 }
        let lost = self << UInt128(128 - count) != 0
        return self >> UInt128(count) | (lost ? 1 : 0)
    }
}
