// Multiplication and division. SF, ZF, AF and PF are undefined after a multiplication: they follow the low half.

/// MUL and IMUL of one operand: the accumulator times the source, to twice the width.
@inline(__always) func multiplyWide<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let (high, low) = register(core, 0, as: T.self).multipliedFullWidth(
        by: register(core, op.pointee.source, as: T.self))
    storeWide(core, high, T(truncatingIfNeeded: low), overflows: high != 0)
}
@inline(__always) func multiplyWideSigned<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op
) {
    let (high, low) = register(core, 0, as: S.self).multipliedFullWidth(
        by: register(core, op.pointee.source, as: S.self))
    let lowBits = T(truncatingIfNeeded: low)
    let signFill: S = topBit(lowBits) ? -1 : 0
    storeWide(core, T(truncatingIfNeeded: high), lowBits, overflows: high != signFill)
}
@inline(__always) func storeWide<T: Word>(_ core: Core, _ high: T, _ low: T, overflows: Bool) {
    if T.bitWidth == 8 {
        setRegister(core, 0, UInt16(truncatingIfNeeded: high) << 8 | UInt16(truncatingIfNeeded: low))
    } else {
        setRegister(core, 0, low)
        setRegister(core, 16, high)
    }
    setFlags(core, FlagKind.result, low, overflows ? 3 : 0)
}

/// IMUL of two or three operands.
@inline(__always) func multiply<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _ core: Core, _ a: T, _ b: T
) -> T {
    let (result, overflows) = S(truncatingIfNeeded: a).multipliedReportingOverflow(by: S(truncatingIfNeeded: b))
    let bits = T(truncatingIfNeeded: result)
    setFlags(core, FlagKind.result, bits, overflows ? 3 : 0)
    return bits
}
@inline(__always) func multiplyRR<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op
) {
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, multiply(S.self, core, a, register(core, op.pointee.source, as: T.self)))
}
@inline(__always) func multiplyRRI<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op
) {
    let a = register(core, op.pointee.source, as: T.self)
    setRegister(core, op.pointee.destination, multiply(S.self, core, a, T(truncatingIfNeeded: op.pointee.immediate)))
}
@inline(__always) func multiplyRM<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op
) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, multiply(S.self, core, a, load(memory, 0, as: T.self)))
    return true
}

/// IMUL of two or three operands whose flags nobody will see.
@inline(__always) func quietMultiplyRR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, a &* register(core, op.pointee.source, as: T.self))
}
@inline(__always) func quietMultiplyRRI<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.source, as: T.self)
    setRegister(core, op.pointee.destination, a &* T(truncatingIfNeeded: op.pointee.immediate))
}

/// DIV: false, with nothing changed, for #DE. Flags are left alone.
@inline(__always) func divide<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    let divisor = register(core, op.pointee.source, as: T.self)
    if T.bitWidth == 8 {
        let dividend: UInt16 = register(core, 0)
        let wide = UInt16(truncatingIfNeeded: divisor)
        guard wide != 0, dividend / wide <= 0xff else { return false }
        setRegister(core, 0, (dividend % wide) << 8 | dividend / wide)
        return true
    }
    let high = register(core, 16, as: T.self)
    // A quotient that does not fit is one with a high half not below the divisor; that covers zero too.
    guard high < divisor else { return false }
    let low = register(core, 0, as: T.self)
    let (quotient, remainder) = divisor.dividingFullWidth((high, T.Magnitude(truncatingIfNeeded: low)))
    setRegister(core, 0, quotient)
    setRegister(core, 16, remainder)
    return true
}
/// IDIV: false, with nothing changed, for #DE.
@inline(__always) func divideSigned<S: FixedWidthInteger & SignedInteger, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op
) -> Bool {
    let divisor = register(core, op.pointee.source, as: T.self)
    guard divisor != 0 else { return false }
    var high: T
    var low: T
    if T.bitWidth == 8 {
        let accumulator: UInt16 = register(core, 0)
        high = T(truncatingIfNeeded: accumulator >> 8)
        low = T(truncatingIfNeeded: accumulator)
    } else {
        high = register(core, 16)
        low = register(core, 0)
    }
    let negative = topBit(high)
    if negative {
        low = 0 &- low
        high = ~high &+ (low == 0 ? 1 : 0)
    }
    let divisorNegative = topBit(divisor)
    let magnitude = divisorNegative ? 0 &- divisor : divisor
    guard high < magnitude else { return false }
    let (quotient, remainder) = magnitude.dividingFullWidth((high, T.Magnitude(truncatingIfNeeded: low)))
    let limit: T = 1 << T(truncatingIfNeeded: T.bitWidth - 1)
    guard quotient < limit || (negative != divisorNegative && quotient == limit) else { return false }
    let signedQuotient = negative != divisorNegative ? 0 &- quotient : quotient
    let signedRemainder = negative ? 0 &- remainder : remainder
    if T.bitWidth == 8 {
        setRegister(
            core, 0, UInt16(truncatingIfNeeded: signedRemainder) << 8 | UInt16(truncatingIfNeeded: signedQuotient))
    } else {
        setRegister(core, 0, signedQuotient)
        setRegister(core, 16, signedRemainder)
    }
    return true
}
