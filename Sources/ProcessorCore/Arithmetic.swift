// Two-operand arithmetic and logic, one definition for all sizes and for register, immediate and memory operands.

/// A two-operand instruction.
protocol Binary {
    /// Whether the result goes to the destination.
    static var writes: Bool { get }
    /// Computes the result and sets the flags.
    static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T
}

/// A two-operand instruction whose flags depend on the operands alone.
protocol QuietBinary {
    /// Computes the result, for an operation whose flags nobody will see.
    static func quiet<T: Word>(_ a: T, _ b: T) -> T
}
extension Add: QuietBinary {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ b: T) -> T { a &+ b }
}
extension Subtract: QuietBinary {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ b: T) -> T { a &- b }
}
extension And: QuietBinary {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ b: T) -> T { a & b }
}
extension Or: QuietBinary {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ b: T) -> T { a | b }
}
extension Xor: QuietBinary {
    @inline(__always) static func quiet<T: Word>(_ a: T, _ b: T) -> T { a ^ b }
}

enum Add: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        let result = a &+ b
        setFlags(core, FlagKind.add, result, UInt64(truncatingIfNeeded: b))
        return result
    }
}
enum Subtract: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        let result = a &- b
        setFlags(core, FlagKind.subtract, result, UInt64(truncatingIfNeeded: b))
        return result
    }
}
enum Compare: Binary {
    @inline(__always) static var writes: Bool { false }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T { Subtract.apply(core, a, b) }
}
enum And: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        setFlags(core, FlagKind.result, a & b, 0)
        return a & b
    }
}
enum Test: Binary {
    @inline(__always) static var writes: Bool { false }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T { And.apply(core, a, b) }
}
enum Or: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        setFlags(core, FlagKind.result, a | b, 0)
        return a | b
    }
}
enum Xor: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        setFlags(core, FlagKind.result, a ^ b, 0)
        return a ^ b
    }
}
enum AddWithCarry: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        let (first, over1) = a.addingReportingOverflow(b)
        let (result, over2) = first.addingReportingOverflow(carry(core) ? 1 : 0)
        setFlags(
            core, FlagKind.result, result, outcome(over1 || over2, topBit((a ^ ~b) & (a ^ result)), a ^ b ^ result))
        return result
    }
}
enum SubtractWithBorrow: Binary {
    @inline(__always) static var writes: Bool { true }
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T, _ b: T) -> T {
        let (first, over1) = a.subtractingReportingOverflow(b)
        let (result, over2) = first.subtractingReportingOverflow(carry(core) ? 1 : 0)
        setFlags(core, FlagKind.result, result, outcome(over1 || over2, topBit((a ^ b) & (a ^ result)), a ^ b ^ result))
        return result
    }
}

/// CF, OF and AF as the operand of `FlagKind.result`.
@inline(__always) func outcome<T: Word>(_ carry: Bool, _ overflow: Bool, _ nibbles: T) -> UInt64 {
    (carry ? 1 : 0) | (overflow ? 2 : 0) | (nibbles & 0x10 != 0 ? 4 : 0)
}

// The forms. Those with a memory operand return false when the owner must be asked; nothing has changed then.

@inline(__always) func binaryRR<B: Binary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) {
    let result = B.apply(
        core, register(core, op.pointee.base, as: T.self), register(core, op.pointee.source, as: T.self))
    if B.writes { setRegister(core, op.pointee.destination, result) }
}
@inline(__always) func binaryRI<B: Binary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) {
    let result = B.apply(
        core, register(core, op.pointee.base, as: T.self), T(truncatingIfNeeded: op.pointee.immediate))
    if B.writes { setRegister(core, op.pointee.destination, result) }
}
@inline(__always) func binaryRM<B: Binary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    let result = B.apply(core, register(core, op.pointee.destination, as: T.self), load(memory, 0, as: T.self))
    if B.writes { setRegister(core, op.pointee.destination, result) }
    return true
}
@inline(__always) func binaryMR<B: Binary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    let at = address(core, op)
    guard let memory = B.writes ? writable(core, at, T.self) : readable(core, at, T.self) else { return false }
    let result = B.apply(core, load(memory, 0, as: T.self), register(core, op.pointee.source, as: T.self))
    if B.writes { store(memory, 0, result) }
    return true
}
@inline(__always) func binaryMI<B: Binary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    let at = address(core, op)
    guard let memory = B.writes ? writable(core, at, T.self) : readable(core, at, T.self) else { return false }
    let result = B.apply(core, load(memory, 0, as: T.self), T(truncatingIfNeeded: op.pointee.immediate))
    if B.writes { store(memory, 0, result) }
    return true
}

@inline(__always) func quietRR<B: QuietBinary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.base, as: T.self)
    setRegister(core, op.pointee.destination, B.quiet(a, register(core, op.pointee.source, as: T.self)))
}
@inline(__always) func quietRI<B: QuietBinary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) {
    let a = register(core, op.pointee.base, as: T.self)
    setRegister(core, op.pointee.destination, B.quiet(a, T(truncatingIfNeeded: op.pointee.immediate)))
}
@inline(__always) func quietRM<B: QuietBinary, T: Word>(_: B.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    let a = register(core, op.pointee.destination, as: T.self)
    setRegister(core, op.pointee.destination, B.quiet(a, load(memory, 0, as: T.self)))
    return true
}

/// A one-operand instruction that reads and writes its operand.
protocol Unary {
    static func apply<T: Word>(_ core: Core, _ a: T) -> T
    /// Computes the result, for an operation whose flags nobody will see.
    static func quiet<T: Word>(_ a: T) -> T
}
enum Increment: Unary {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T) -> T {
        let old: UInt64 = carry(core) ? 1 : 0
        setFlags(core, FlagKind.increment, a &+ 1, old)
        return a &+ 1
    }
    @inline(__always) static func quiet<T: Word>(_ a: T) -> T { a &+ 1 }
}
enum Decrement: Unary {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T) -> T {
        let old: UInt64 = carry(core) ? 1 : 0
        setFlags(core, FlagKind.decrement, a &- 1, old)
        return a &- 1
    }
    @inline(__always) static func quiet<T: Word>(_ a: T) -> T { a &- 1 }
}
enum Negate: Unary {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T) -> T { Subtract.apply(core, 0, a) }
    @inline(__always) static func quiet<T: Word>(_ a: T) -> T { 0 &- a }
}
enum Not: Unary {
    @inline(__always) static func apply<T: Word>(_ core: Core, _ a: T) -> T { ~a }
    @inline(__always) static func quiet<T: Word>(_ a: T) -> T { ~a }
}

@inline(__always) func unaryR<U: Unary, T: Word>(_: U.Type, _: T.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, U.apply(core, register(core, op.pointee.base, as: T.self)))
}
@inline(__always) func quietR<U: Unary, T: Word>(_: U.Type, _: T.Type, _ core: Core, _ op: Op) {
    setRegister(core, op.pointee.destination, U.quiet(register(core, op.pointee.base, as: T.self)))
}
@inline(__always) func unaryM<U: Unary, T: Word>(_: U.Type, _: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    store(memory, 0, U.apply(core, load(memory, 0, as: T.self)))
    return true
}
