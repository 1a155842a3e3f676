// The transcendental functions of x87, computed to more bits than the result has, and then rounded once.

extension FloatingPointArithmetic {
    /// Rounds a function's value, which is never exact.
    private mutating func inexact(_ value: WideFloat) -> ExtendedFloat {
        guard !value.isZero else { return .zero(isNegative: value.isNegative) }
        raised.insert(.precision)
        let rounded = round(
            Unrounded(isNegative: value.isNegative, exponent: value.exponent, significand: value.significand | 1),
            to: .extended)
        return ExtendedFloat(
            isNegative: rounded.isNegative, exponent: rounded.field, significand: rounded.significand)
    }

    // MARK: Angles

    /// An angle less a multiple of pi/2, and that multiple's low two bits. |angle| is below 2^63.
    ///
    /// - Spec: APM5 FSIN: what pi is used is the processor's own; AMD's and Intel's reduce by 66 bits of it
    private func reduced(_ a: ExtendedFloat) -> (WideFloat, quadrant: Int) {
        let x = a.normalised
        // pi/2 as 66 bits: P * 2^-65.
        let half = UInt128(0xc90f_daa2_2168_c234) << 2 | 3
        var rest: UInt128
        var quotient = 0
        var unit: Int
        guard x.exponent >= -1 else { return (WideFloat(a), 0) }
        // The angle is significand * 2^(exponent - 63), in units of 2^-65 for exponents from -2 on.
        unit = -65
        rest = UInt128(x.significand)
        for _ in 0..<(x.exponent + 2) {
            rest <<= 1
            quotient <<= 1
            if rest >= half {
                rest -= half
                quotient |= 1
            }
            quotient &= 3
        }
        var negative = x.isNegative
        if rest << 1 > half {
            rest = half - rest
            quotient += 1
            negative.toggle()
        }
        let value = WideFloat(normalising: rest, isNegative: negative, exponent: 127 + unit)
        unit = x.isNegative ? -quotient : quotient
        return (value, unit & 3)
    }

    private static func sineSeries(_ r: WideFloat) -> WideFloat {
        let square = r * r
        var (sum, term) = (r, r)
        var n = 1
        while !term.isZero, term.exponent > sum.exponent - 130 {
            term = (term * square).divided(by: (n + 1) * (n + 2)).negated
            sum = sum + term
            n += 2
        }
        // The sine is less than its angle, however small that is.
        return sum.significand == r.significand ? sum.below : sum
    }

    private static func cosineSeries(_ r: WideFloat) -> WideFloat {
        let square = r * r
        var (sum, term) = (WideFloat.one, WideFloat.one)
        var n = 0
        while !term.isZero, term.exponent > -130 {
            term = (term * square).divided(by: (n + 1) * (n + 2)).negated
            sum = sum + term
            n += 2
        }
        return sum.exponent == 0 ? WideFloat.one.below : sum
    }

    private static func sineAndCosine(_ r: WideFloat, _ quadrant: Int) -> (WideFloat, WideFloat) {
        let (s, c) = (sineSeries(r), cosineSeries(r))
        switch quadrant {
        case 0: return (s, c)
        case 1: return (c, s.negated)
        case 2: return (s.negated, c.negated)
        default: return (c.negated, s)
        }
    }

    /// FSIN.
    ///
    /// - Deviates: the last bit of a transcendental function may differ from a processor's
    mutating func sine(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        if a.kind == .infinity { return invalid() }
        if a.kind == .zero { return a }
        let (r, quadrant) = reduced(a)
        return inexact(Self.sineAndCosine(r, quadrant).0)
    }

    /// FCOS.
    mutating func cosine(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        if a.kind == .infinity { return invalid() }
        if a.kind == .zero { return .one }
        let (r, quadrant) = reduced(a)
        return inexact(Self.sineAndCosine(r, quadrant).1)
    }

    /// FPTAN's quotient.
    mutating func tangent(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        if a.kind == .infinity { return invalid() }
        if a.kind == .zero { return a }
        let (r, quadrant) = reduced(a)
        let (s, c) = Self.sineAndCosine(r, quadrant)
        return inexact(s / c)
    }

    /// The arcus tangent of a number from 0 to 1.
    private static func arcTangentSeries(_ x: WideFloat) -> WideFloat {
        let step = x.exponent < -4 ? 0 : x.scaled(2).nearestInteger
        let centre = WideFloat(step).scaled(-2)
        let t = step == 0 ? x : (x - centre) / (WideFloat.one + x * centre)
        let square = t * t
        var (sum, power) = (t, t)
        var n = 1
        while !power.isZero, power.exponent > sum.exponent - 130 {
            power = (power * square).negated
            n += 2
            sum = sum + power.divided(by: n)
        }
        if step == 0 { return sum.significand == x.significand ? sum.below : sum }
        return WideFloat(FloatingPointConstants.arcTangents[step]) + sum
    }

    /// FPATAN: the angle of (x, y).
    mutating func arcTangent(_ y: ExtendedFloat, _ x: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(y, x) { return nan }
        let pi = WideFloat(FloatingPointConstants.pi)
        func signed(_ value: WideFloat) -> WideFloat {
            WideFloat(isNegative: y.isNegative, exponent: value.exponent, significand: value.significand)
        }
        switch (y.kind, x.kind) {
        case (.infinity, .infinity):
            return inexact(signed(x.isNegative ? (pi + pi + pi).scaled(-2) : pi.scaled(-2)))
        case (.infinity, _): return inexact(signed(pi.scaled(-1)))
        case (_, .infinity), (.zero, _):
            return x.isNegative ? inexact(signed(pi)) : .zero(isNegative: y.isNegative)
        case (_, .zero): return inexact(signed(pi.scaled(-1)))
        default: break
        }
        let (a, b) = (WideFloat(y).magnitude, WideFloat(x).magnitude)
        var angle: WideFloat
        if b < a {
            angle = pi.scaled(-1) - Self.arcTangentSeries(b / a)
        } else {
            let ratio = a / b
            if !x.isNegative, ratio.exponent < -16300 {
                // Too small for the series, and perhaps for the format.
                return inexact(signed(ratio))
            }
            angle = Self.arcTangentSeries(ratio)
        }
        if x.isNegative { angle = pi - angle }
        return inexact(signed(angle))
    }

    // MARK: Powers and logarithms

    /// F2XM1: 2 to a power of magnitude at most 1, less 1.
    ///
    /// - Deviates: an operand outside -1 to 1, for which the result is undefined, is left as it is
    mutating func powerOfTwoLessOne(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        switch a.kind {
        case .infinity: return a.isNegative ? ExtendedFloat.one.negated : a
        case .zero: return a
        default: break
        }
        let one = ExtendedFloat.one
        if a.magnitude == one {
            // Processors find 1 from below.
            if !a.isNegative { return inexact(WideFloat.one.below) }
            raised.insert(.precision)
            return ExtendedFloat(isNegative: true, exponent: 16382, significand: 1 << 63)
        }
        guard a.exponent < 16383 else {
            raised.insert(.precision)
            return a
        }
        let x = WideFloat(a) * WideFloat(FloatingPointConstants.ln2)
        var (sum, term) = (x, x)
        var n = 1
        while !term.isZero, term.exponent > sum.exponent - 130 {
            n += 1
            term = (term * x).divided(by: n)
            sum = sum + term
        }
        return inexact(sum)
    }

    /// The natural logarithm of (1 + z) / (1 - z), halved: a series in z.
    private static func halfLogarithm(_ z: WideFloat) -> WideFloat {
        let square = z * z
        var (sum, power) = (z, z)
        var n = 1
        while !power.isZero, power.exponent > sum.exponent - 130 {
            power = power * square
            n += 2
            sum = sum + power.divided(by: n)
        }
        return sum
    }

    /// FYL2X: y times the logarithm of x to the base of 2.
    mutating func multiplyByLogarithm(_ y: ExtendedFloat, _ x: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(y, x) { return nan }
        switch (x.kind, y.kind) {
        case (.zero, .zero): return invalid()
        case (.zero, .infinity): return .infinity(isNegative: !y.isNegative)
        case (.zero, _):
            raised.remove(.denormal)
            raised.insert(.zeroDivide)
            return .infinity(isNegative: !y.isNegative)
        case _ where x.isNegative:
            raised.remove(.denormal)
            return invalid()
        case (.infinity, .zero): return invalid()
        case (.infinity, _): return .infinity(isNegative: y.isNegative)
        default: break
        }
        var n = x.normalised
        let isOne = n.exponent == 0 && n.significand == 1 << 63
        if y.kind == .infinity {
            return isOne ? invalid() : .infinity(isNegative: y.isNegative != (n.exponent < 0))
        }
        if isOne || y.kind == .zero {
            return .zero(isNegative: y.isNegative != (n.exponent < 0))
        }
        // The mantissa between the roots of 1/2 and 2.
        let power = n.significand > 0xb504_f333_f9de_6484 ? n.exponent + 1 : n.exponent
        n.exponent -= power
        let m = WideFloat(exponent: n.exponent, significand: UInt128(n.significand) << 64)
        let z = (m - .one) / (m + .one)
        let logarithm =
            WideFloat(power) + Self.halfLogarithm(z).scaled(1) * WideFloat(FloatingPointConstants.log2e)
        if z.isZero, y.kind == .normal || y.kind == .denormal {
            // A power of two: the product may be exact, and counts as inexact nevertheless.
            let product = multiply(y, Self.integer(Int64(power)))
            raised.formUnion(product.kind == .denormal ? [.precision, .underflow] : .precision)
            return product
        }
        return inexact(WideFloat(y) * logarithm)
    }

    /// FYL2XP1: y times the logarithm of 1 + x to the base of 2.
    ///
    /// - Deviates: an operand outside the range in which the instruction is defined gives the logarithm nevertheless, or #IA
    mutating func multiplyByLogarithmOfMore(_ y: ExtendedFloat, _ x: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(y, x) { return nan }
        switch (x.kind, y.kind) {
        case (.zero, .infinity), (.infinity, .zero): return invalid()
        case (.zero, _): return .zero(isNegative: x.isNegative != y.isNegative)
        case (.infinity, _): return x.isNegative ? invalid() : .infinity(isNegative: y.isNegative)
        case (_, .infinity): return .infinity(isNegative: x.isNegative != y.isNegative)
        case (_, .zero): return .zero(isNegative: x.isNegative != y.isNegative)
        default: break
        }
        let wide = WideFloat(x)
        guard !x.isNegative || x.exponent < 16383 else { return invalid() }
        if x.exponent >= 16383 {
            let sum = add(x, .one)
            return multiplyByLogarithm(y, sum)
        }
        let z = wide / (wide + .one + .one)
        let logarithm = Self.halfLogarithm(z).scaled(1) * WideFloat(FloatingPointConstants.log2e)
        return inexact(WideFloat(y) * logarithm)
    }
}
