// Moves, extensions, address computation, exchanges and the stack. None of them sets flags but CMPXCHG and XADD.

@inline(__always) func moveRR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, register(core, op.pointee.source, as: T.self))
}
@inline(__always) func moveRI<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, T(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func moveRM<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    setRegister(core, op.pointee.destination, load(memory, 0, as: T.self))
    return true
}
@inline(__always) func moveMR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    store(memory, 0, register(core, op.pointee.source, as: T.self))
    return true
}
@inline(__always) func moveMI<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    store(memory, 0, T(truncatingIfNeeded: op.pointee.immediate))
    return true
}

/// MOVZX (an unsigned source), MOVSX and MOVSXD (a signed one).
@inline(__always) func extendRR<S: FixedWidthInteger, D: Word>(_: S.Type, _: D.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, D(truncatingIfNeeded: register(core, op.pointee.source, as: S.self)))
}
@inline(__always) func extendRM<S: FixedWidthInteger, D: Word>(_: S.Type, _: D.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), S.self) else { return false }
    setRegister(core, op.pointee.destination, D(truncatingIfNeeded: load(memory, 0, as: S.self)))
    return true
}

/// LEA, and the address computations that need an operation of their own: the result is cut to the address size.
@inline(__always) func computeAddress<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, T(truncatingIfNeeded: address(core, op)))
}

/// LEA of 16-bit addressing into a zero-extended temporary.
@inline(__always) func computeAddress16(_ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, UInt64(UInt16(truncatingIfNeeded: address(core, op))))
}

/// CBW, CWDE, CDQE: sign-extends the low half of the accumulator.
@inline(__always) func widenAccumulator<S: FixedWidthInteger & SignedInteger, D: Word>(
    _: S.Type, _: D.Type, _ core: Core
) {
    setRegister(core, 0, D(truncatingIfNeeded: register(core, 0, as: S.self)))
}
/// CWD, CDQ, CQO: fills RDX with the accumulator's sign.
@inline(__always) func spreadSign<T: Word>(_: T.Type, _ core: Core) {
    setRegister(core, 16, topBit(register(core, 0, as: T.self)) ? ~T(0) : 0)
}

@inline(__always) func exchangeRR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, register(core, op.pointee.source, as: T.self))
    setRegister(core, op.pointee.source, a)
}
@inline(__always) func exchangeMR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    let old = load(memory, 0, as: T.self)
    store(memory, 0, register(core, op.pointee.source, as: T.self))
    setRegister(core, op.pointee.source, old)
    return true
}
@inline(__always) func exchangeAddRR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.destination, as: T.self)
    let sum = Add.apply(core, a, register(core, op.pointee.source, as: T.self))
    setRegister(core, op.pointee.source, a)
    setRegister(core, op.pointee.destination, sum)
}
@inline(__always) func exchangeAddMR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    let a = load(memory, 0, as: T.self)
    store(memory, 0, Add.apply(core, a, register(core, op.pointee.source, as: T.self)))
    setRegister(core, op.pointee.source, a)
    return true
}
@inline(__always) func compareExchangeRR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.destination, as: T.self)
    let accumulator = register(core, 0, as: T.self)
    _ = Compare.apply(core, accumulator, a)
    if accumulator == a {
        setRegister(core, op.pointee.destination, register(core, op.pointee.source, as: T.self))
    } else {
        setRegister(core, 0, a)
    }
}
@inline(__always) func compareExchangeMR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    // The processor writes in both cases, so that the page must be writable.
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    let a = load(memory, 0, as: T.self)
    let accumulator = register(core, 0, as: T.self)
    _ = Compare.apply(core, accumulator, a)
    if accumulator == a {
        store(memory, 0, register(core, op.pointee.source, as: T.self))
    } else {
        setRegister(core, 0, a)
    }
    return true
}

/// SETcc.
@inline(__always) func setByteR(_ number: Int, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, UInt8(condition(core, number) ? 1 : 0))
}
@inline(__always) func setByteM(_ number: Int, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), UInt8.self) else { return false }
    store(memory, 0, UInt8(condition(core, number) ? 1 : 0))
    return true
}
/// CMOVcc. A 32-bit one clears the upper half in any case, and a memory operand is read in any case.
@inline(__always) func conditionalMoveRR<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) {
    let chosen = condition(core, number) ? op.pointee.source : op.pointee.destination
    setRegister(core, op.pointee.destination, register(core, chosen, as: T.self))
}
@inline(__always) func conditionalMoveRM<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    let value = load(memory, 0, as: T.self)
    let old = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, condition(core, number) ? value : old)
    return true
}

/// Byte offset of RSP.
let stackPointer: UInt8 = 32

/// PUSH of a register in 64-bit mode: 2 or 8 bytes.
@inline(__always) func pushR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    push(core, register(core, op.pointee.source, as: T.self))
}
@inline(__always) func pushI<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    push(core, T(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func push<T: Word>(_ core: Core, _ value: T) -> Bool {
    let top = register(core, stackPointer, as: UInt64.self) &- UInt64(MemoryLayout<T>.size)
    guard let memory = writable(core, top, T.self) else { return false }
    store(memory, 0, value)
    setRegister(core, stackPointer, top)
    return true
}
/// POP to a register in 64-bit mode. POP RSP loads the value, not the incremented pointer.
@inline(__always) func popR<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    let top = register(core, stackPointer, as: UInt64.self)
    guard let memory = readable(core, top, T.self) else { return false }
    let value = load(memory, 0, as: T.self)
    setRegister(core, stackPointer, top &+ UInt64(MemoryLayout<T>.size))
    setRegister(core, op.pointee.destination, value)
    return true
}
/// LEAVE in 64-bit mode.
@inline(__always) func leaveFrame(_ core: Core) -> Bool {
    let frame: UInt64 = register(core, 40)
    guard let memory = readable(core, frame, UInt64.self) else { return false }
    setRegister(core, stackPointer, frame &+ 8)
    setRegister(core, 40, load(memory, 0, as: UInt64.self))
    return true
}
