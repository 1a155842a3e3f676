// Lazy flags: the last result is kept, and flags are computed when somebody asks.

/// How flags follow from the kept result and operand. The kind is kept shifted left by two, over the size: 0 to 3 for 8 to
/// 64 bits.
enum FlagKind {
    /// ZF, SF, PF from the result; bits 0, 1 and 2 of the operand are CF, OF and AF.
    static let result: UInt64 = 0
    /// result = a + operand.
    static let add: UInt64 = 1
    /// result = a - operand.
    static let subtract: UInt64 = 2
    /// result = a + 1; bit 0 of the operand is the old CF.
    static let increment: UInt64 = 3
    /// result = a - 1; bit 0 of the operand is the old CF.
    static let decrement: UInt64 = 4
    /// The operand holds the flags at their places in RFLAGS.
    static let known: UInt64 = 5
}

/// The six arithmetic flags at their places in RFLAGS.
package enum ArithmeticFlags {
    package static let carry: UInt64 = 0x001
    package static let parity: UInt64 = 0x004
    package static let auxiliary: UInt64 = 0x010
    package static let zero: UInt64 = 0x040
    package static let sign: UInt64 = 0x080
    package static let overflow: UInt64 = 0x800
    package static let all: UInt64 = 0x8d5
}

@inline(__always) func sizeCode<T: FixedWidthInteger>(_ type: T.Type) -> UInt64 {
    T.bitWidth == 8 ? 0 : T.bitWidth == 16 ? 1 : T.bitWidth == 32 ? 2 : 3
}
@inline(__always) func topBit<T: Word>(_ value: T) -> Bool { value >> T(truncatingIfNeeded: T.bitWidth - 1) != 0 }
@inline(__always) func topBit(_ value: UInt64, _ size: UInt64) -> Bool { value &>> ((8 &<< size) &- 1) & 1 != 0 }
@inline(__always) func mask(_ size: UInt64) -> UInt64 { ~0 &>> (64 &- (8 &<< size)) }
@inline(__always) func signedLess<T: Word>(_ a: T, _ b: T) -> Bool {
    let top: T = 1 << T(truncatingIfNeeded: T.bitWidth - 1)
    return (a ^ top) < (b ^ top)
}

@inline(__always) func setFlags<T: Word>(_ core: Core, _ kind: UInt64, _ result: T, _ operand: UInt64) {
    store(core, CoreLayout.flagKind, kind << 2 | sizeCode(T.self))
    store(core, CoreLayout.flagResult, UInt64(truncatingIfNeeded: result))
    store(core, CoreLayout.flagOperand, operand)
}

@inline(__always) func flagState(_ core: Core) -> (kind: UInt64, size: UInt64, result: UInt64, operand: UInt64) {
    let kind: UInt64 = load(core, CoreLayout.flagKind)
    return (kind >> 2, kind & 3, load(core, CoreLayout.flagResult), load(core, CoreLayout.flagOperand))
}

@inline(never) func carry(_ core: Core) -> Bool {
    let (kind, size, result, operand) = flagState(core)
    switch kind {
    case FlagKind.add: return result < operand
    case FlagKind.subtract: return (result &+ operand) & mask(size) < operand
    default: return operand & 1 != 0
    }
}

@inline(never) func overflow(_ core: Core) -> Bool {
    let (kind, size, result, operand) = flagState(core)
    switch kind {
    case FlagKind.result: return operand & 2 != 0
    case FlagKind.add:
        let a = result &- operand
        return topBit((a ^ ~operand) & (a ^ result), size)
    case FlagKind.subtract:
        let a = result &+ operand
        return topBit((a ^ operand) & (a ^ result), size)
    case FlagKind.increment: return result == mask(size) / 2 + 1
    case FlagKind.decrement: return result == mask(size) / 2
    default: return operand & ArithmeticFlags.overflow != 0
    }
}

@inline(never) func auxiliary(_ core: Core) -> Bool {
    let (kind, _, result, operand) = flagState(core)
    switch kind {
    case FlagKind.result: return operand & 4 != 0
    case FlagKind.add: return (result ^ operand ^ (result &- operand)) & 0x10 != 0
    case FlagKind.subtract: return (result ^ operand ^ (result &+ operand)) & 0x10 != 0
    case FlagKind.increment: return result & 0xf == 0
    case FlagKind.decrement: return result & 0xf == 0xf
    default: return operand & ArithmeticFlags.auxiliary != 0
    }
}

@inline(__always) func zero(_ core: Core) -> Bool {
    let (kind, _, result, operand) = flagState(core)
    return kind == FlagKind.known ? operand & ArithmeticFlags.zero != 0 : result == 0
}

@inline(__always) func sign(_ core: Core) -> Bool {
    let (kind, size, result, operand) = flagState(core)
    return kind == FlagKind.known ? operand & ArithmeticFlags.sign != 0 : topBit(result, size)
}

@inline(__always) func parity(_ core: Core) -> Bool {
    let (kind, _, result, operand) = flagState(core)
    return kind == FlagKind.known
        ? operand & ArithmeticFlags.parity != 0 : (result & 0xff).nonzeroBitCount & 1 == 0
}

/// Whether a condition of Jcc, SETcc and CMOVcc holds.
///
/// - Parameter number: the low four bits of the opcode
@inline(__always) func condition(_ core: Core, _ number: Int) -> Bool {
    let holds: Bool
    switch number >> 1 {
    case 0: holds = overflow(core)
    case 1: holds = carry(core)
    case 2: holds = zero(core)
    case 3: holds = zero(core) || carry(core)
    case 4: holds = sign(core)
    case 5: holds = parity(core)
    case 6: holds = sign(core) != overflow(core)
    default: holds = zero(core) || sign(core) != overflow(core)
    }
    return holds != (number & 1 != 0)
}

/// A condition on the outcome of a comparison, straight from its operands. Only for conditions 2 to 9 and 12 to 15.
@inline(__always) func compared<T: Word>(_ a: T, _ b: T, _ number: Int) -> Bool {
    let holds: Bool
    switch number >> 1 {
    case 1: holds = a < b
    case 2: holds = a == b
    case 3: holds = a <= b
    case 4: holds = topBit(a &- b)
    case 6: holds = signedLess(a, b)
    default: holds = signedLess(a, b) || a == b
    }
    return holds != (number & 1 != 0)
}

/// The arithmetic flags, at their places in RFLAGS.
package func arithmeticFlags(_ core: Core) -> UInt64 {
    (carry(core) ? ArithmeticFlags.carry : 0) | (parity(core) ? ArithmeticFlags.parity : 0)
        | (auxiliary(core) ? ArithmeticFlags.auxiliary : 0) | (zero(core) ? ArithmeticFlags.zero : 0)
        | (sign(core) ? ArithmeticFlags.sign : 0) | (overflow(core) ? ArithmeticFlags.overflow : 0)
}

/// Sets the arithmetic flags from their places in RFLAGS.
package func setArithmeticFlags(_ core: Core, _ flags: UInt64) {
    store(core, CoreLayout.flagKind, FlagKind.known << 2 | 3)
    store(core, CoreLayout.flagResult, UInt64(0))
    store(core, CoreLayout.flagOperand, flags & ArithmeticFlags.all)
}

/// Whether a condition of Jcc, SETcc and CMOVcc holds, for code outside the core.
package func conditionHolds(_ core: Core, _ number: Int) -> Bool { condition(core, number) }

/// Sets the flags of a - b at a size of 1, 2, 4 or 8 bytes, for code outside the core.
package func compareValues(_ core: Core, _ a: UInt64, _ b: UInt64, byteCount: Int) {
    switch byteCount {
    case 1: _ = Compare.apply(core, UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b))
    case 2: _ = Compare.apply(core, UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b))
    case 4: _ = Compare.apply(core, UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b))
    default: _ = Compare.apply(core, a, b)
    }
}
