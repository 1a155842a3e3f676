// Arithmetic of x87 in integers: no dependence on the host's floating point. Rounding, the exceptions of IEEE 754, and the
// results that masked and unmasked exceptions leave.

/// Exceptions in the places of the status word.
struct FloatingPointExceptions: OptionSet, Hashable, Sendable {
    var rawValue: UInt16
    static let invalid = Self(rawValue: 1)
    static let denormal = Self(rawValue: 2)
    static let zeroDivide = Self(rawValue: 4)
    static let overflow = Self(rawValue: 8)
    static let underflow = Self(rawValue: 0x10)
    static let precision = Self(rawValue: 0x20)
    static let stackFault = Self(rawValue: 0x40)
}

/// A format that results are rounded to.
struct FloatingPointFormat: Hashable, Sendable {
    /// Significant bits.
    var precision: Int
    /// The unbiased exponents of normal numbers.
    var exponents: ClosedRange<Int>
    /// What the exponent is moved by where overflow or underflow is not masked.
    static let wrap = 24576

    static let single = Self(precision: 24, exponents: -126...127)
    static let double = Self(precision: 53, exponents: -1022...1023)
    static let extended = Self(precision: 64, exponents: -16382...16383)
}

/// One operation: how it rounds, what is masked, and what it has raised.
struct FloatingPointArithmetic {
    enum Rounding: UInt8 { case nearest, down, up, towardZero }

    var rounding: Rounding
    /// The precision of results, with the exponents of the 80-bit format.
    var format: FloatingPointFormat
    var masked: FloatingPointExceptions
    var raised: FloatingPointExceptions = []
    /// Rounding has increased the magnitude: C1.
    var roundedUp = false

    /// - Parameter control: the control word
    init(control: UInt16) {
        rounding = Rounding(rawValue: UInt8(control >> 10 & 3)) ?? .nearest
        masked = FloatingPointExceptions(rawValue: control & 0x3f)
        format = .extended
        switch control >> 8 & 3 {
        case 0: format.precision = 24
        case 2: format.precision = 53
        default: break
        }
    }

    /// Exceptions that stop the operation before it has a result.
    var isStopped: Bool {
        !raised.subtracting(masked).isDisjoint(with: [.invalid, .denormal, .zeroDivide])
    }

    // MARK: Rounding

    /// What rounding to a number of bits from the top gives.
    private struct Cut {
        var significand: UInt64
        /// The result is 1.0 of the next exponent.
        var isLonger = false
        var isInexact = false
        var isUp = false
    }

    private func cut(_ value: UInt128, to precision: Int, isNegative: Bool) -> Cut {
        let unit = UInt128(1) << UInt128(128 - precision)
        let rest = value & (unit &- 1)
        let kept = value & ~(unit &- 1)
        var result = Cut(significand: UInt64(truncatingIfNeeded: kept >> 64))
        guard rest != 0 else { return result }
        result.isInexact = true
        result.isUp = goesUp(rest, half: unit >> 1, isOdd: kept & unit != 0, isNegative: isNegative)
        guard result.isUp else { return result }
        let (sum, overflow) = kept.addingReportingOverflow(unit)
        result.isLonger = overflow
        result.significand = overflow ? 1 << 63 : UInt64(truncatingIfNeeded: sum >> 64)
        return result
    }

    func goesUp(_ rest: UInt128, half: UInt128, isOdd: Bool, isNegative: Bool) -> Bool {
        switch rounding {
        case .nearest: rest > half || (rest == half && isOdd)
        case .down: isNegative
        case .up: !isNegative
        case .towardZero: false
        }
    }

    /// A rounded number: the exponent's field, and the significand from the integer bit on at the top.
    struct Rounded {
        var isNegative: Bool
        var field: Int
        var significand: UInt64
    }

    /// Rounds to a format, and raises what that raises.
    mutating func round(_ value: Unrounded, to format: FloatingPointFormat) -> Rounded {
        let negative = value.isNegative
        guard value.significand != 0 else { return Rounded(isNegative: negative, field: 0, significand: 0) }
        let (lowest, highest) = (format.exponents.lowerBound, format.exponents.upperBound)
        var result = cut(value.significand, to: format.precision, isNegative: negative)
        var exponent = value.exponent + (result.isLonger ? 1 : 0)
        let isFarBelow = exponent + FloatingPointFormat.wrap < lowest
        if exponent < lowest, masked.contains(.underflow) || isFarBelow {
            // Tiny after rounding: the denormalised value is rounded afresh.
            let shifted = value.significand.shiftedRightKeepingTrace(lowest - value.exponent)
            result = cut(shifted, to: format.precision, isNegative: negative)
            if result.isInexact { raised.formUnion([.underflow, .precision]) }
            roundedUp = result.isUp
            return Rounded(
                isNegative: negative, field: Int(result.significand >> 63), significand: result.significand)
        }
        if exponent < lowest {
            raised.insert(.underflow)
            exponent += FloatingPointFormat.wrap
        } else if exponent > highest {
            raised.insert(.overflow)
            // What is too large even then becomes an infinity, masked or not.
            if masked.contains(.overflow) || exponent - FloatingPointFormat.wrap > highest {
                raised.insert(.precision)
                return overflowed(negative, format)
            }
            exponent -= FloatingPointFormat.wrap
        }
        if result.isInexact { raised.insert(.precision) }
        roundedUp = result.isUp
        return Rounded(isNegative: negative, field: exponent - lowest + 1, significand: result.significand)
    }

    /// The infinity or the largest number, as the rounding mode wants.
    private mutating func overflowed(_ negative: Bool, _ format: FloatingPointFormat) -> Rounded {
        let field = format.exponents.count
        switch rounding {
        case .nearest: roundedUp = true
        case .down: roundedUp = negative
        case .up: roundedUp = !negative
        case .towardZero: roundedUp = false
        }
        if roundedUp { return Rounded(isNegative: negative, field: field + 1, significand: 1 << 63) }
        return Rounded(isNegative: negative, field: field, significand: ~0 << UInt64(64 - format.precision))
    }

    /// Rounds to the format of the precision control.
    mutating func result(_ value: Unrounded) -> ExtendedFloat {
        let rounded = round(value, to: format)
        return ExtendedFloat(
            isNegative: rounded.isNegative, exponent: rounded.field, significand: rounded.significand)
    }

    // MARK: Operands

    mutating func invalid() -> ExtendedFloat {
        raised.insert(.invalid)
        return .indefinite
    }

    /// Notes denormal operands; the NaN that operands give, or the indefinite one for an unsupported one.
    mutating func special(_ a: ExtendedFloat, _ b: ExtendedFloat) -> ExtendedFloat? {
        let (x, y) = (a.kind, b.kind)
        if x == .unsupported || y == .unsupported { return invalid() }
        guard a.isNaN || b.isNaN else {
            if x == .denormal || y == .denormal { raised.insert(.denormal) }
            return nil
        }
        if x == .signalingNaN || y == .signalingNaN { raised.insert(.invalid) }
        guard a.isNaN, b.isNaN else { return a.isNaN ? a.quieted : b.quieted }
        // A quiet NaN is preferred to a signaling one; of two of a kind the one with the larger significand.
        if x != y { return x == .quietNaN ? a : b }
        if a.significand != b.significand { return (a.significand > b.significand ? a : b).quieted }
        return (a.isNegative ? b : a).quieted
    }

    /// The same for one operand.
    mutating func special(_ a: ExtendedFloat) -> ExtendedFloat? {
        switch a.kind {
        case .unsupported: return invalid()
        case .signalingNaN:
            raised.insert(.invalid)
            return a.quieted
        case .quietNaN: return a
        case .denormal:
            raised.insert(.denormal)
            return nil
        default: return nil
        }
    }

    // MARK: The four operations, and the root

    mutating func add(_ a: ExtendedFloat, _ b: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a, b) { return nan }
        switch (a.kind, b.kind) {
        case (.infinity, .infinity): return a.isNegative == b.isNegative ? a : invalid()
        case (.infinity, _): return a
        case (_, .infinity): return b
        case (.zero, .zero):
            return a.isNegative == b.isNegative ? a : .zero(isNegative: rounding == .down)
        case (.zero, _): return result(Unrounded(b.normalised))
        case (_, .zero): return result(Unrounded(a.normalised))
        default: return sum(a.normalised, b.normalised)
        }
    }

    private mutating func sum(_ a: ExtendedFloat.Normalised, _ b: ExtendedFloat.Normalised) -> ExtendedFloat {
        var (large, small) = (a, b)
        if (small.exponent, small.significand) > (large.exponent, large.significand) { swap(&large, &small) }
        // One bit of room above for the carry.
        let x = UInt128(large.significand) << 63
        let y = (UInt128(small.significand) << 63).shiftedRightKeepingTrace(large.exponent - small.exponent)
        if large.isNegative == small.isNegative {
            return result(Unrounded(normalising: x + y, isNegative: large.isNegative, exponent: large.exponent + 1))
        }
        guard x != y else { return .zero(isNegative: rounding == .down) }
        return result(Unrounded(normalising: x - y, isNegative: large.isNegative, exponent: large.exponent + 1))
    }

    mutating func subtract(_ a: ExtendedFloat, _ b: ExtendedFloat) -> ExtendedFloat {
        // A NaN keeps its sign.
        if let nan = special(a, b) { return nan }
        return add(a, b.negated)
    }

    mutating func multiply(_ a: ExtendedFloat, _ b: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a, b) { return nan }
        let negative = a.isNegative != b.isNegative
        switch (a.kind, b.kind) {
        case (.infinity, .zero), (.zero, .infinity): return invalid()
        case (.infinity, _), (_, .infinity): return .infinity(isNegative: negative)
        case (.zero, _), (_, .zero): return .zero(isNegative: negative)
        default: break
        }
        let (x, y) = (a.normalised, b.normalised)
        let product = UInt128(x.significand) * UInt128(y.significand)
        return result(
            Unrounded(normalising: product, isNegative: negative, exponent: x.exponent + y.exponent + 1))
    }

    mutating func divide(_ a: ExtendedFloat, _ b: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a, b) { return nan }
        let negative = a.isNegative != b.isNegative
        switch (a.kind, b.kind) {
        case (.infinity, .infinity), (.zero, .zero): return invalid()
        case (.infinity, _): return .infinity(isNegative: negative)
        case (.zero, _), (_, .infinity): return .zero(isNegative: negative)
        case (_, .zero):
            raised.remove(.denormal)
            raised.insert(.zeroDivide)
            return .infinity(isNegative: negative)
        default: break
        }
        let (x, y) = (a.normalised, b.normalised)
        let divisor = UInt128(y.significand)
        let (high, rest) = (UInt128(x.significand) << 64).quotientAndRemainder(dividingBy: divisor)
        let (low, last) = (rest << 62).quotientAndRemainder(dividingBy: divisor)
        // The quotient has 62 bits more than `high`, which has 64 or 65.
        let quotient = high << 62 | low
        // The top bit of the 128 stands for 2^(127 - 126) times the ratio's unit.
        return result(
            Unrounded(
                normalising: quotient | (last != 0 ? 1 : 0), isNegative: negative,
                exponent: x.exponent - y.exponent + 1))
    }

    mutating func squareRoot(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        switch a.kind {
        case .zero: return a
        case _ where a.isNegative:
            // Nothing but #IA.
            raised.remove(.denormal)
            return invalid()
        case .infinity: return a
        default: break
        }
        let x = a.normalised
        let isOdd = x.exponent & 1 != 0
        // An even exponent e: the radicand is in [1/4, 1/2) of 2^128, for an odd one twice that.
        let radicand = UInt128(x.significand) << (isOdd ? 64 : 63)
        var root: UInt128 = 0
        var bit: UInt128 = 1 << 63
        while bit != 0 {
            let trial = root | bit
            if trial * trial <= radicand { root = trial }
            bit >>= 1
        }
        let rest = radicand - root * root
        let tail: UInt128 = rest == 0 ? 0 : rest <= root ? 1 << 62 : 3 << 62
        return result(
            Unrounded(normalising: root << 64 | tail, isNegative: false, exponent: (x.exponent - (isOdd ? 1 : 0)) / 2))
    }
}
