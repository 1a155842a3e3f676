// Bit tests, bit scans, counts and byte swaps.

/// What BT and its kin do with the bit after copying it to CF.
enum BitChange: Int { case none = 0, set = 1, reset = 2, complement = 3 }

@inline(__always) func changed<T: Word>(_ core: Core, _ a: T, _ bit: UInt64, _ change: BitChange) -> T {
    let index = T(truncatingIfNeeded: bit & UInt64(T.bitWidth - 1))
    let mask: T = 1 &<< index
    // Only CF is defined to change; the others stay.
    setCarryAndOverflow(core, a & mask != 0, overflow(core))
    switch change {
    case .none: return a
    case .set: return a | mask
    case .reset: return a & ~mask
    case .complement: return a ^ mask
    }
}
@inline(__always) func bitRR<T: Word>(_ change: BitChange, _: T.Type, _ core: Core, _ op: Op) {
    let result = changed(
        core, register(core, op.pointee.destination, as: T.self),
        UInt64(truncatingIfNeeded: register(core, op.pointee.source, as: T.self)), change)
    if change != .none { setRegister(core, op.pointee.destination, result) }
}
@inline(__always) func bitRI<T: Word>(_ change: BitChange, _: T.Type, _ core: Core, _ op: Op) {
    let result = changed(
        core, register(core, op.pointee.destination, as: T.self), UInt64(truncatingIfNeeded: op.pointee.immediate),
        change)
    if change != .none { setRegister(core, op.pointee.destination, result) }
}
@inline(__always) func bitM<T: Word>(_ change: BitChange, _: T.Type, _ core: Core, _ op: Op, _ bit: UInt64) -> Bool {
    let at = address(core, op)
    guard let memory = change == .none ? readable(core, at, T.self) : writable(core, at, T.self) else { return false }
    let result = changed(core, load(memory, 0, as: T.self), bit, change)
    if change != .none { store(memory, 0, result) }
    return true
}
@inline(__always) func bitMI<T: Word>(_ change: BitChange, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    bitM(change, T.self, core, op, UInt64(truncatingIfNeeded: op.pointee.immediate))
}
/// The bit number is a register; its part beyond the operand is in the address already: see `bitAddress`.
@inline(__always) func bitMR<T: Word>(_ change: BitChange, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    bitM(change, T.self, core, op, UInt64(truncatingIfNeeded: register(core, op.pointee.source, as: T.self)))
}
/// Computes the address of the operand-sized word that holds a bit of a bit string.
@inline(__always) func bitAddress<S: FixedWidthInteger & SignedInteger>(_: S.Type, _ core: Core, _ op: Op) {
    let bit = Int64(register(core, op.pointee.source, as: S.self))
    let size = Int64(S.bitWidth / 8)
    let words = bit >> Int64(S.bitWidth.trailingZeroBitCount)
    setRegister(core, op.pointee.destination, address(core, op) &+ UInt64(bitPattern: words &* size))
}

/// BSF and BSR leave the destination alone when the source is zero.
@inline(__always) func scanForward<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.source, as: T.self)
    setZeroOnly(core, a == 0)
    if a != 0 { setRegister(core, op.pointee.destination, T(truncatingIfNeeded: a.trailingZeroBitCount)) }
}
@inline(__always) func scanReverse<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.source, as: T.self)
    setZeroOnly(core, a == 0)
    if a != 0 {
        setRegister(core, op.pointee.destination, T(truncatingIfNeeded: T.bitWidth - 1 - a.leadingZeroBitCount))
    }
}
@inline(__always) func setZeroOnly(_ core: Core, _ isZero: Bool) {
    let kept = arithmeticFlags(core) & ~ArithmeticFlags.zero
    setArithmeticFlags(core, kept | (isZero ? ArithmeticFlags.zero : 0))
}
/// TZCNT and LZCNT: CF tells a zero source, ZF a zero result; the other flags stay.
@inline(__always) func countZeros<T: Word>(_: T.Type, _ core: Core, _ op: Op, leading: Bool) {
    let a = register(core, op.pointee.source, as: T.self)
    let result = T(truncatingIfNeeded: leading ? a.leadingZeroBitCount : a.trailingZeroBitCount)
    let kept = arithmeticFlags(core) & ~(ArithmeticFlags.zero | ArithmeticFlags.carry)
    setArithmeticFlags(
        core, kept | (a == 0 ? ArithmeticFlags.carry : 0) | (result == 0 ? ArithmeticFlags.zero : 0))
    setRegister(core, op.pointee.destination, result)
}
@inline(__always) func countOnes<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.source, as: T.self)
    setArithmeticFlags(core, a == 0 ? ArithmeticFlags.zero : 0)
    setRegister(core, op.pointee.destination, T(truncatingIfNeeded: a.nonzeroBitCount))
}
/// BSWAP. Of a 16-bit register the result is undefined; AMD processors give zero.
@inline(__always) func swapBytes<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, T.bitWidth == 16 ? 0 : a.byteSwapped)
}

// CLC, STC, CMC, LAHF, SAHF.
@inline(__always) func setCarry(_ core: Core, _ value: Bool) {
    let kept = arithmeticFlags(core) & ~ArithmeticFlags.carry
    setArithmeticFlags(core, kept | (value ? ArithmeticFlags.carry : 0))
}
@inline(__always) func complementCarry(_ core: Core) { setCarry(core, !carry(core)) }
@inline(__always) func loadFlagsByte(_ core: Core) {
    setRegister(core, 1, UInt8(truncatingIfNeeded: arithmeticFlags(core) & 0xd5 | 2))
}
@inline(__always) func storeFlagsByte(_ core: Core) {
    let overflowBit = overflow(core) ? ArithmeticFlags.overflow : 0
    setArithmeticFlags(core, UInt64(register(core, 1, as: UInt8.self)) & 0xd5 | overflowBit)
}
