// x87 numbers from and to the formats in memory: 32 and 64 bits, integers, packed decimals.

extension FloatingPointArithmetic {
    /// A number of 32 or 64 bits as one of 80 bits, exactly; a denormal one raises #D, a signaling NaN stays one.
    mutating func widen(_ bits: UInt64, from format: FloatingPointFormat) -> ExtendedFloat {
        let count = format.precision - 1
        let width = format == .single ? 32 : 64
        let fraction = bits & (1 << UInt64(count) - 1)
        let isNegative = bits >> UInt64(width - 1) & 1 != 0
        let field = Int(bits >> UInt64(count) & (1 << UInt64(width - 1 - count) - 1))
        let top = fraction << UInt64(63 - count)
        if field == format.exponents.count + 1 {
            return ExtendedFloat(isNegative: isNegative, exponent: 0x7fff, significand: 1 << 63 | top)
        }
        if field != 0 {
            return ExtendedFloat(
                isNegative: isNegative, exponent: field - 1 + format.exponents.lowerBound + 16383,
                significand: 1 << 63 | top)
        }
        guard fraction != 0 else { return .zero(isNegative: isNegative) }
        raised.insert(.denormal)
        let shift = top.leadingZeroBitCount
        return ExtendedFloat(
            isNegative: isNegative, exponent: format.exponents.lowerBound + 16383 - shift,
            significand: top << UInt64(shift))
    }

    /// A number as 32 or 64 bits. Where overflow or underflow is not masked, the result is not to be stored.
    mutating func narrow(_ a: ExtendedFloat, to format: FloatingPointFormat) -> UInt64 {
        let count = format.precision - 1
        let width = format == .single ? 32 : 64
        let sign: UInt64 = a.isNegative ? 1 << UInt64(width - 1) : 0
        let largest = UInt64(format.exponents.count + 1)
        func pack(_ field: UInt64, _ significand: UInt64) -> UInt64 {
            sign | field << UInt64(count) | ((significand << 1) >> UInt64(64 - count))
        }
        switch a.kind {
        case .zero: return sign
        case .infinity: return pack(largest, 0)
        case .unsupported:
            _ = invalid()
            return 1 << UInt64(width - 1) | largest << UInt64(count) | 1 << UInt64(count - 1)
        case .signalingNaN, .quietNaN:
            if a.kind == .signalingNaN { raised.insert(.invalid) }
            return pack(largest, a.quieted.significand)
        case .denormal, .normal:
            let rounded = round(Unrounded(a.normalised), to: format)
            return pack(UInt64(truncatingIfNeeded: rounded.field), rounded.significand)
        }
    }

    // MARK: Integers

    /// A signed integer, exactly.
    static func integer(_ value: Int64) -> ExtendedFloat {
        guard value != 0 else { return .zero() }
        let magnitude = value.magnitude
        let shift = magnitude.leadingZeroBitCount
        return ExtendedFloat(
            isNegative: value < 0, exponent: 16383 + 63 - shift, significand: magnitude << UInt64(shift))
    }

    /// The magnitude of a finite number rounded to an integer; nil if it needs more than 64 bits.
    mutating func integralMagnitude(_ a: ExtendedFloat) -> UInt64? {
        guard a.kind != .zero else { return 0 }
        let x = a.normalised
        guard x.exponent <= 63 else { return nil }
        // 64 bits of fraction.
        let value = (UInt128(x.significand) << 64).shiftedRightKeepingTrace(63 - x.exponent)
        var whole = value >> 64
        let rest = value & 0xffff_ffff_ffff_ffff
        if rest != 0 {
            let up = goesUp(rest, half: 1 << 63, isOdd: whole & 1 != 0, isNegative: x.isNegative)
            if up { whole += 1 }
            guard whole >> 64 == 0 else { return nil }
            raised.insert(.precision)
            roundedUp = up
        }
        return UInt64(truncatingIfNeeded: whole)
    }

    /// A number as a signed integer of some bytes: the indefinite one, and #IA, if it does not fit.
    mutating func integer(_ a: ExtendedFloat, byteCount: Int) -> UInt64 {
        let indefinite: UInt64 = 1 << UInt64(8 * byteCount - 1)
        switch a.kind {
        case .zero, .normal, .denormal:
            let before = (raised, roundedUp)
            if let magnitude = integralMagnitude(a), magnitude <= (a.isNegative ? indefinite : indefinite - 1) {
                return a.isNegative ? 0 &- magnitude : magnitude
            }
            (raised, roundedUp) = before
        default: break
        }
        raised.insert(.invalid)
        return indefinite
    }

    /// Rounds to an integer in the format of 80 bits.
    mutating func rounded(_ a: ExtendedFloat) -> ExtendedFloat {
        if let nan = special(a) { return nan }
        guard a.kind != .infinity, a.kind != .zero, a.normalised.exponent < 63 else { return a }
        guard let magnitude = integralMagnitude(a), magnitude != 0 else { return .zero(isNegative: a.isNegative) }
        let shift = magnitude.leadingZeroBitCount
        return ExtendedFloat(
            isNegative: a.isNegative, exponent: 16383 + 63 - shift, significand: magnitude << UInt64(shift))
    }

    // MARK: Packed decimals: 18 digits and a sign

    /// Ten bytes as a number; bytes that are no digits have no meaning.
    static func decimal(low: UInt64, high: UInt16) -> ExtendedFloat {
        var value: UInt64 = 0
        for index in (0..<18).reversed() {
            let digit = index < 16 ? low >> UInt64(4 * index) & 15 : UInt64(high) >> UInt64(4 * (index - 16)) & 15
            value = value &* 10 &+ digit
        }
        var result = integer(Int64(bitPattern: value))
        if high & 0x8000 != 0 { result = result.negated }
        return result
    }

    /// A number as ten bytes.
    mutating func decimal(_ a: ExtendedFloat) -> (low: UInt64, high: UInt16) {
        switch a.kind {
        case .zero, .normal, .denormal:
            let before = (raised, roundedUp)
            if var magnitude = integralMagnitude(a), magnitude < 1_000_000_000_000_000_000 {
                var (low, high): (UInt64, UInt16) = (0, a.isNegative ? 0x8000 : 0)
                for index in 0..<18 {
                    let digit = magnitude % 10
                    magnitude /= 10
                    if index < 16 {
                        low |= digit << UInt64(4 * index)
                    } else {
                        high |= UInt16(digit) << UInt16(4 * (index - 16))
                    }
                }
                return (low, high)
            }
            (raised, roundedUp) = before
        default: break
        }
        raised.insert(.invalid)
        return (0xc000_0000_0000_0000, 0xffff)
    }
}
