// Remainders, scaling and taking numbers apart: what x87 has beside the four operations.

extension FloatingPointArithmetic {
    /// What FPREM and FPREM1 leave.
    struct Remainder {
        var value: ExtendedFloat
        /// The low three bits of the quotient.
        var quotient: UInt64 = 0
        /// The reduction has to go on.
        var isPartial = false
    }

    /// FPREM, and FPREM1, which rounds the quotient to nearest.
    ///
    /// - Spec: APM5 FPREM, FPREM1
    /// - Deviates: by how much a partial reduction reduces is the processor's own choice; here it leaves an exponent that is
    ///   larger by less than 64
    mutating func remainder(_ a: ExtendedFloat, _ b: ExtendedFloat, toNearest: Bool) -> Remainder {
        if let nan = special(a, b) { return Remainder(value: nan) }
        switch (a.kind, b.kind) {
        case (.infinity, _), (_, .zero): return Remainder(value: invalid())
        case (.zero, _): return Remainder(value: a)
        case (_, .infinity): return Remainder(value: result64(Unrounded(a.normalised)))
        default: break
        }
        let (x, y) = (a.normalised, b.normalised)
        let distance = x.exponent - y.exponent
        if distance < (toNearest ? -1 : 0) { return Remainder(value: result64(Unrounded(x))) }
        if distance >= 64 {
            let steps = Self.partialSteps(distance)
            let (_, rest) = Self.divide(x.significand, y.significand, steps)
            return Remainder(
                value: remainderValue(rest, a.isNegative, x.exponent - steps), isPartial: true)
        }
        var (quotient, rest): (UInt64, UInt64)
        var scale = y.exponent
        if distance < 0 {
            // Half of the divisor or less, or more: one bit of room.
            (quotient, rest) = (0, x.significand)
            scale = x.exponent
        } else {
            (quotient, rest) = Self.divide(x.significand, y.significand, distance)
        }
        var negative = a.isNegative
        if toNearest {
            let divisor = UInt128(y.significand) << UInt128(y.exponent - scale)
            let twice = UInt128(rest) << 1
            if twice > divisor || (twice == divisor && quotient & 1 != 0) {
                quotient &+= 1
                let missing = divisor - UInt128(rest)
                negative.toggle()
                let value = Unrounded(normalising: missing, isNegative: negative, exponent: scale + 64)
                return Remainder(
                    value: missing == 0 ? .zero(isNegative: a.isNegative) : result64(value), quotient: quotient & 7)
            }
        }
        return Remainder(value: remainderValue(rest, negative, scale), quotient: quotient & 7)
    }

    /// How many bits of the quotient a partial reduction takes.
    private static func partialSteps(_ distance: Int) -> Int { distance & 31 | 32 }

    /// The quotient of a * 2^steps and b, of which the low 64 bits are kept, and the remainder.
    private static func divide(_ a: UInt64, _ b: UInt64, _ steps: Int) -> (UInt64, UInt64) {
        var rest = UInt128(a)
        let divisor = UInt128(b)
        var quotient: UInt64 = 0
        for step in 0...steps {
            if step > 0 { rest <<= 1 }
            quotient <<= 1
            if rest >= divisor {
                rest -= divisor
                quotient |= 1
            }
        }
        return (quotient, UInt64(truncatingIfNeeded: rest))
    }

    private mutating func remainderValue(_ rest: UInt64, _ negative: Bool, _ exponent: Int) -> ExtendedFloat {
        guard rest != 0 else { return .zero(isNegative: negative) }
        return result64(Unrounded(normalising: UInt128(rest) << 64, isNegative: negative, exponent: exponent))
    }

    /// Results of these instructions are not subject to the precision control.
    private mutating func result64(_ value: Unrounded) -> ExtendedFloat {
        let rounded = round(value, to: .extended)
        return ExtendedFloat(
            isNegative: rounded.isNegative, exponent: rounded.field, significand: rounded.significand)
    }

    /// FSCALE: a times 2 to the power of b, cut to an integer.
    mutating func scale(_ a: ExtendedFloat, by b: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a, b) { return nan }
        switch (a.kind, b.kind) {
        case (.infinity, .infinity): return b.isNegative ? invalid() : a
        case (.zero, .infinity): return b.isNegative ? a : invalid()
        case (_, .infinity): return b.isNegative ? .zero(isNegative: a.isNegative) : .infinity(isNegative: a.isNegative)
        case (.infinity, _), (.zero, _): return a
        default: break
        }
        var power = 0
        if b.kind != .zero {
            let y = b.normalised
            if y.exponent >= 17 {
                power = 1 << 17
            } else if y.exponent >= 0 {
                power = Int(y.significand >> UInt64(63 - y.exponent))
            }
            if y.isNegative { power = -power }
        }
        var x = a.normalised
        x.exponent += power
        return result64(Unrounded(x))
    }

    /// FXTRACT: the exponent and the significand of a number.
    mutating func takeApart(_ a: ExtendedFloat) -> (exponent: ExtendedFloat, significand: ExtendedFloat) {
        if let nan = special(a) { return (nan, nan) }
        switch a.kind {
        case .infinity: return (.infinity(), a)
        case .zero:
            raised.insert(.zeroDivide)
            return (.infinity(isNegative: true), a)
        default:
            let x = a.normalised
            return (
                Self.integer(Int64(x.exponent)),
                ExtendedFloat(isNegative: x.isNegative, exponent: 16383, significand: x.significand)
            )
        }
    }

    // MARK: Comparison

    /// How two numbers compare.
    enum Order { case less, equal, greater, unordered }

    /// Compares; a NaN raises #IA, a quiet one only if `isSignaling`.
    mutating func compare(_ a: ExtendedFloat, _ b: ExtendedFloat, isSignaling: Bool) -> Order {
        if special(a, b) != nil {
            if isSignaling { raised.insert(.invalid) }
            return .unordered
        }
        if a.kind == .zero, b.kind == .zero { return .equal }
        if a.isNegative != b.isNegative { return a.isNegative ? .less : .greater }
        // Exponent 0 stands for 1; a pseudo-denormal is what has its integer bit there.
        let (x, y) = ((max(1, a.exponent), a.significand), (max(1, b.exponent), b.significand))
        if x == y { return .equal }
        let isLess = (a.kind == .zero ? (0, 0) : x) < (b.kind == .zero ? (0, 0) : y)
        return isLess != a.isNegative ? .less : .greater
    }
}
