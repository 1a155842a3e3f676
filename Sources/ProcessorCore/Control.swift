// Branches. A direct branch within its page links to its target's block; everything else goes through the jump cache, which
// the owner empties when translations change.

/// Counts the block's instructions; false when the budget is used up.
@inline(__always) func account(_ core: Core, _ op: Op) -> Bool {
    let budget: Int64 = load(core, CoreLayout.budget)
    let count = Int64(op.pointee.ordinal)
    store(core, CoreLayout.budget, budget &- count)
    return budget > count
}

/// Goes to the operation's target. Like everything that follows here it ends in a call in tail position, so that the handler
/// of a branch needs no frame.
@inline(__always) func goTo(_ core: Core, _ op: Op) {
    let rip = load(core, CoreLayout.blockRIP, as: UInt64.self) &+ UInt64(bitPattern: Int64(op.pointee.target))
    guard account(core, op) else { return outOfBudget(core, rip) }
    store(core, CoreLayout.blockRIP, rip)
    if let link = op.pointee.link { next(core, operation(link)) } else { resolve(core, op, rip) }
}
/// Goes on after a branch that is not taken: the edge is the next operation.
@inline(__always) func fallThrough(_ core: Core, _ op: Op) { goTo(core, op + 1) }

/// Goes to a RIP that is known only now.
@inline(__always) func goIndirect(_ core: Core, _ op: Op, _ rip: UInt64) {
    guard account(core, op) else { return outOfBudget(core, rip) }
    store(core, CoreLayout.blockRIP, rip)
    let entry = jumpCacheEntry(core, rip)
    if _fastPath(load(entry, 0, as: UInt64.self) == rip) {
        next(core, operation(load(entry, 8, as: UnsafeMutableRawPointer.self)))
    } else {
        resolveIndirect(core, rip)
    }
}

/// Where the jump cache has a RIP, if it has it.
@inline(__always) package func jumpCacheEntry(_ core: Core, _ rip: UInt64) -> UnsafeMutableRawPointer {
    core + CoreLayout.jumpCache
        + Int(truncatingIfNeeded: (rip ^ rip &>> 10) & UInt64(CoreLayout.jumpCacheCount - 1)) &* 16
}

@inline(never) func outOfBudget(_ core: Core, _ rip: UInt64) {
    store(core, CoreLayout.exitRIP, rip)
    store(core, CoreLayout.blockRIP, rip)
    store(core, CoreLayout.exit, CoreExit.budget.rawValue)
}

/// Goes to a branch's target for the first time, and links the branch to it if that may be kept.
@inline(never) func resolve(_ core: Core, _ op: Op, _ rip: UInt64) {
    guard let block = findBlock(core, rip) else { return }
    let start = rip &- UInt64(bitPattern: Int64(op.pointee.target))
    // Both ends lie in one page, so the link is right wherever that page is mapped. In 64-bit mode the base is 0.
    let base = load(core, CoreLayout.segmentBases + 8, as: UInt64.self)
    if ((start &+ base) ^ (rip &+ base)) & ~0xfff == 0 { op.pointee.link = UnsafeMutableRawPointer(block) }
    next(core, block)
}

/// Goes to a RIP that the jump cache does not have.
@inline(never) func resolveIndirect(_ core: Core, _ rip: UInt64) {
    guard let block = findBlock(core, rip) else { return }
    next(core, block)
}

/// The block at a RIP, from the jump cache or the owner. Nil if the owner refuses: the core leaves.
@inline(never) func findBlock(_ core: Core, _ rip: UInt64) -> Op? {
    let entry = jumpCacheEntry(core, rip)
    if load(entry, 0, as: UInt64.self) == rip { return operation(load(entry, 8, as: UnsafeMutableRawPointer.self)) }
    let callbacks: UnsafeMutablePointer<CoreCallbacks> = load(core, CoreLayout.callbacks)
    leaveFloats(core)
    let found = callbacks.pointee.block(core, rip)
    enterFloats(core)
    guard let block = found else {
        store(core, CoreLayout.exitRIP, rip)
        store(core, CoreLayout.exitOperation, UnsafeMutableRawPointer?.none)
        store(core, CoreLayout.exit, CoreExit.refused.rawValue)
        return nil
    }
    store(entry, 0, rip)
    store(entry, 8, block)
    return operation(block)
}

@inline(__always) func jump(_ core: Core, _ op: Op) { goTo(core, op) }
@inline(__always) func jumpIf(_ number: Int, _ core: Core, _ op: Op) {
    if condition(core, number) { goTo(core, op) } else { fallThrough(core, op) }
}
/// JMP to a register. `T` is the operand size: the upper part of RIP is cleared.
@inline(__always) func jumpR<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    goIndirect(core, op, UInt64(register(core, op.pointee.source, as: T.self)))
}
/// JRCXZ and its kin; `T` is the address size.
@inline(__always) func jumpIfCountZero<T: Word>(_: T.Type, _ core: Core, _ op: Op) {
    if register(core, 8, as: T.self) == 0 { goTo(core, op) } else { fallThrough(core, op) }
}
/// LOOP, LOOPE, LOOPNE; `T` is the address size.
@inline(__always) func loop<T: Word>(_: T.Type, _ core: Core, _ op: Op, whileZero: Bool?) {
    let count = register(core, 8, as: T.self) &- 1
    setRegister(core, 8, count)
    let goesOn = count != 0 && (whileZero == nil || zero(core) == whileZero)
    if goesOn { goTo(core, op) } else { fallThrough(core, op) }
}

/// A fused comparison and branch.
@inline(__always) func compareJumpRR<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) {
    compareJump(
        number, core, op, register(core, op.pointee.destination, as: T.self),
        register(core, op.pointee.source, as: T.self))
}
@inline(__always) func compareJumpRI<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) {
    compareJump(
        number, core, op, register(core, op.pointee.destination, as: T.self),
        T(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func compareJump<T: Word>(_ number: Int, _ core: Core, _ op: Op, _ a: T, _ b: T) {
    _ = Compare.apply(core, a, b)
    if compared(a, b, number) { goTo(core, op) } else { fallThrough(core, op) }
}
@inline(__always) func testJumpRR<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) {
    testJump(
        number, core, op, register(core, op.pointee.destination, as: T.self),
        register(core, op.pointee.source, as: T.self))
}
@inline(__always) func testJumpRI<T: Word>(_ number: Int, _: T.Type, _ core: Core, _ op: Op) {
    testJump(
        number, core, op, register(core, op.pointee.destination, as: T.self),
        T(truncatingIfNeeded: op.pointee.immediate))
}
@inline(__always) func testJump<T: Word>(_ number: Int, _ core: Core, _ op: Op, _ a: T, _ b: T) {
    let result = And.apply(core, a, b)
    if compared(result, 0, number) { goTo(core, op) } else { fallThrough(core, op) }
}

/// CALL in 64-bit mode to a known target; the return address is the displacement, relative to the block.
@inline(__always) func callDirect(_ core: Core, _ op: Op) {
    guard push(core, returnAddress(core, op)) else { return fill(core, op) }
    goTo(core, op)
}
/// CALL in 64-bit mode to a register.
@inline(__always) func callR(_ core: Core, _ op: Op) {
    let target: UInt64 = register(core, op.pointee.source)
    guard push(core, returnAddress(core, op)) else { return fill(core, op) }
    goIndirect(core, op, target)
}
@inline(__always) func returnAddress(_ core: Core, _ op: Op) -> UInt64 {
    load(core, CoreLayout.blockRIP, as: UInt64.self) &+ UInt64(bitPattern: op.pointee.displacement)
}
/// RET in 64-bit mode; the immediate is what it releases beside the address.
@inline(__always) func returnNear(_ core: Core, _ op: Op) {
    let top: UInt64 = register(core, stackPointer)
    guard let memory = readable(core, top, UInt64.self) else { return fill(core, op) }
    let target = load(memory, 0, as: UInt64.self)
    setRegister(core, stackPointer, top &+ 8 &+ UInt64(bitPattern: op.pointee.immediate))
    goIndirect(core, op, target)
}
