// Shifts and rotates. A count of zero (after masking) changes neither operand nor flags.
//
// Undefined flags: OF for counts above 1 and AF always. They are set as AMD processors were seen to set them where that is
// known, else as for a count of 1.

protocol Shift {
    /// - Parameter count: masked to 5 bits, or 6 for 64-bit operands; not zero
    static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T
}

/// A shift whose count is an immediate from 1 to the width of the operand less 1: what compilers write.
protocol KnownShift {
    static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T
    /// Computes the result, for an operation whose flags nobody will see.
    static func quiet<T: Word>(_ a: T, _ count: T) -> T
}

@inline(__always) func shiftKnown<S: KnownShift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) {
    let count = T(truncatingIfNeeded: op.pointee.immediate)
    setRegister(core, op.pointee.destination, S.known(core, register(core, op.pointee.base, as: T.self), count))
}
@inline(__always) func shiftQuiet<S: KnownShift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) {
    let count = T(truncatingIfNeeded: op.pointee.immediate)
    setRegister(core, op.pointee.destination, S.quiet(register(core, op.pointee.base, as: T.self), count))
}

@inline(__always) func complement<T: Word>(_ count: T) -> T { T(truncatingIfNeeded: T.bitWidth) &- count }

extension ShiftLeft: KnownShift {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ count: T) -> T { a &<< count }
    @inline(__always) static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T {
        let result = a &<< count
        let out = (a &>> complement(count)) & 1 != 0
        setFlags(core, FlagKind.result, result, (out ? 1 : 0) | (out != topBit(result) ? 2 : 0))
        return result
    }
}
extension ShiftRight: KnownShift {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ count: T) -> T { a &>> count }
    @inline(__always) static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T {
        let result = a &>> count
        let out = (a &>> (count &- 1)) & 1 != 0
        setFlags(core, FlagKind.result, result, (out ? 1 : 0) | (topBit(result ^ (result &<< 1)) ? 2 : 0))
        return result
    }
}
extension ShiftArithmetic: KnownShift {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ count: T) -> T {
        T(truncatingIfNeeded: signExtended(a) &>> Int64(truncatingIfNeeded: count))
    }
    @inline(__always) static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T {
        let result = quiet(a, count)
        setFlags(core, FlagKind.result, result, (a &>> (count &- 1)) & 1 != 0 ? 1 : 0)
        return result
    }
}
extension RotateLeft: KnownShift {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ count: T) -> T { a &<< count | a &>> complement(count) }
    @inline(__always) static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T {
        let result = quiet(a, count)
        let out = result & 1 != 0
        setCarryAndOverflow(core, out, out != topBit(result))
        return result
    }
}
extension RotateRight: KnownShift {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ count: T) -> T { a &>> count | a &<< complement(count) }
    @inline(__always) static func known<T: Word>(_ core: Core, _ a: T, _ count: T) -> T {
        let result = quiet(a, count)
        setCarryAndOverflow(core, topBit(result), topBit(result ^ (result &<< 1)))
        return result
    }
}

@inline(__always) func shiftCount<T: Word>(_: T.Type, _ count: UInt64) -> UInt64 {
    count & (T.bitWidth == 64 ? 63 : 31)
}

enum ShiftLeft: Shift {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        let result = a << T(truncatingIfNeeded: count)
        let width = UInt64(T.bitWidth)
        let out = count <= width && (a >> T(truncatingIfNeeded: width &- count)) & 1 != 0
        setFlags(core, FlagKind.result, result, (out ? 1 : 0) | (out != topBit(result) ? 2 : 0))
        return result
    }
}
enum ShiftRight: Shift {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        let result = a >> T(truncatingIfNeeded: count)
        let out = (a >> T(truncatingIfNeeded: count &- 1)) & 1 != 0
        setFlags(core, FlagKind.result, result, (out ? 1 : 0) | (topBit(result ^ (result << 1)) ? 2 : 0))
        return result
    }
}
enum ShiftArithmetic: Shift {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        let wide = signExtended(a)
        let result = T(truncatingIfNeeded: wide >> Int64(bitPattern: count))
        let out = (wide >> Int64(bitPattern: count &- 1)) & 1 != 0
        setFlags(core, FlagKind.result, result, out ? 1 : 0)
        return result
    }
}
@inline(__always) func signExtended<T: Word>(_ a: T) -> Int64 {
    let unused = Int64(64 - T.bitWidth)
    return (Int64(truncatingIfNeeded: a) &<< unused) &>> unused
}

/// Keeps SF, ZF, AF and PF, and replaces CF and OF.
@inline(__always) func setCarryAndOverflow(_ core: Core, _ carry: Bool, _ overflow: Bool) {
    let kind: UInt64 = load(core, CoreLayout.flagKind)
    guard _fastPath(kind >> 2 == FlagKind.result) else { return setCarryAndOverflowSlowly(core, carry, overflow) }
    let kept = load(core, CoreLayout.flagOperand, as: UInt64.self) & 4
    store(core, CoreLayout.flagOperand, kept | (carry ? 1 : 0) | (overflow ? 2 : 0))
}
@inline(never) func setCarryAndOverflowSlowly(_ core: Core, _ carry: Bool, _ overflow: Bool) {
    let (kind, size, _, operand) = flagState(core)
    if kind == FlagKind.known {
        let kept = operand & ~(ArithmeticFlags.carry | ArithmeticFlags.overflow)
        store(
            core, CoreLayout.flagOperand,
            kept | (carry ? ArithmeticFlags.carry : 0) | (overflow ? ArithmeticFlags.overflow : 0))
    } else {
        let nibble: UInt64 = auxiliary(core) ? 4 : 0
        store(core, CoreLayout.flagKind, FlagKind.result << 2 | size)
        store(core, CoreLayout.flagOperand, nibble | (carry ? 1 : 0) | (overflow ? 2 : 0))
    }
}

enum RotateLeft: Shift {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        let width = T(truncatingIfNeeded: T.bitWidth)
        let turn = T(truncatingIfNeeded: count) & (width &- 1)
        let result = turn == 0 ? a : a &<< turn | a &>> (width &- turn)
        let out = result & 1 != 0
        setCarryAndOverflow(core, out, out != topBit(result))
        return result
    }
}
enum RotateRight: Shift {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        let width = T(truncatingIfNeeded: T.bitWidth)
        let turn = T(truncatingIfNeeded: count) & (width &- 1)
        let result = turn == 0 ? a : a &>> turn | a &<< (width &- turn)
        setCarryAndOverflow(core, topBit(result), topBit(result ^ (result << 1)))
        return result
    }
}
enum RotateLeftThroughCarry: Shift {
    @inline(never) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        var result = a
        var bit = carry(core)
        for _ in 0..<count % UInt64(T.bitWidth + 1) {
            let out = topBit(result)
            result = result << 1 | (bit ? 1 : 0)
            bit = out
        }
        setCarryAndOverflow(core, bit, bit != topBit(result))
        return result
    }
}
enum RotateRightThroughCarry: Shift {
    @inline(never) static func apply<T: Word>(_ core: Core, _ a: T, _ count: UInt64) -> T {
        var result = a
        var bit = carry(core)
        for _ in 0..<count % UInt64(T.bitWidth + 1) {
            let out = result & 1 != 0
            result = result >> 1 | (bit ? 1 << T(truncatingIfNeeded: T.bitWidth - 1) : 0)
            bit = out
        }
        setCarryAndOverflow(core, bit, topBit(result ^ (result << 1)))
        return result
    }
}

@inline(__always) func shiftRI<S: Shift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) {
    shiftR(S.self, T.self, core, op, UInt64(truncatingIfNeeded: op.pointee.immediate))
}
/// The count is in CL.
@inline(__always) func shiftRC<S: Shift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) {
    shiftR(S.self, T.self, core, op, UInt64(register(core, 8, as: UInt8.self)))
}
@inline(__always) func shiftR<S: Shift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op, _ count: UInt64) {
    let a = register(core, op.pointee.destination, as: T.self)
    let count = shiftCount(T.self, count)
    // A count of zero writes the operand back: a 32-bit one clears the upper half.
    setRegister(core, op.pointee.destination, count == 0 ? a : S.apply(core, a, count))
}
@inline(__always) func shiftMI<S: Shift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    shiftM(S.self, T.self, core, op, UInt64(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func shiftMC<S: Shift, T: Word>(_: S.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    shiftM(S.self, T.self, core, op, UInt64(register(core, 8, as: UInt8.self)))
}
@inline(__always) func shiftM<S: Shift, T: Word>(
    _: S.Type, _: T.Type, _ core: Core, _ op: Op, _ count: UInt64
) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    let count = shiftCount(T.self, count)
    if count != 0 { store(memory, 0, S.apply(core, load(memory, 0, as: T.self), count)) }
    return true
}

/// SHLD and SHRD. For 16-bit operands with counts above 16 the result is undefined; it is what AMD64 processors shift in.
@inline(__always) func doubleShift<T: Word>(
    _ core: Core, _ a: T, _ b: T, _ count: UInt64, left: Bool
) -> T {
    let width = UInt64(T.bitWidth)
    let n = T(truncatingIfNeeded: count)
    let result =
        left ? a << n | b >> T(truncatingIfNeeded: width &- count) : a >> n | b << T(truncatingIfNeeded: width &- count)
    let out =
        left
        ? count <= width && (a >> T(truncatingIfNeeded: width &- count)) & 1 != 0
        : (a >> T(truncatingIfNeeded: count &- 1)) & 1 != 0
    setFlags(core, FlagKind.result, result, (out ? 1 : 0) | (topBit(a ^ result) ? 2 : 0))
    return result
}
@inline(__always) func doubleShiftCount<T: Word>(_: T.Type, _ core: Core, _ op: Op, byCL: Bool) -> UInt64 {
    shiftCount(
        T.self, byCL ? UInt64(register(core, 8, as: UInt8.self)) : UInt64(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func doubleShiftR<T: Word>(_: T.Type, _ core: Core, _ op: Op, left: Bool, byCL: Bool) {
    let a = register(core, op.pointee.destination, as: T.self)
    let count = doubleShiftCount(T.self, core, op, byCL: byCL)
    let b = register(core, op.pointee.source, as: T.self)
    setRegister(core, op.pointee.destination, count == 0 ? a : doubleShift(core, a, b, count, left: left))
}
@inline(__always) func doubleShiftM<T: Word>(_: T.Type, _ core: Core, _ op: Op, left: Bool, byCL: Bool) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    let count = doubleShiftCount(T.self, core, op, byCL: byCL)
    if count != 0 {
        let b = register(core, op.pointee.source, as: T.self)
        store(memory, 0, doubleShift(core, load(memory, 0, as: T.self), b, count, left: left))
    }
    return true
}
