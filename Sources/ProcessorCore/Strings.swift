// String instructions of 64-bit mode with addresses of 64 bits. Others are the run loop's.
//
// A repeated instruction does up to a page's worth at once and is then run again, so that its registers are exact whenever
// an access must be asked for. A value read and not yet written waits in a temporary: the page it came from need not stay
// in the TLB beside the page it goes to.

private let staged = CoreLayout.stagedElement
private let stagedValue = CoreLayout.temporaries + 8
private let rsi: UInt8 = 48
private let rdi: UInt8 = 56
private let rcx: UInt8 = 8

@inline(__always) private func step<T: Word>(_: T.Type, _ core: Core) -> UInt64 {
    UInt64(bitPattern: load(core, CoreLayout.direction, as: Int64.self) &* Int64(MemoryLayout<T>.size))
}
/// The source's segment base is the operation's base register.
@inline(__always) private func source(_ core: Core, _ op: Op) -> UInt64 {
    register(core, rsi, as: UInt64.self) &+ register(core, op.pointee.base, as: UInt64.self)
}

/// What one run of a string operation came to.
enum StringOutcome { case done, again, ask }

@inline(__always) func moveString<T: Word>(_: T.Type, _ core: Core, _ op: Op, repeats: Bool) -> StringOutcome {
    if repeats, register(core, rcx, as: UInt64.self) == 0 { return .done }
    if repeats, let count = copyRun(T.self, core, op) {
        advance(core, rsi, count &* UInt64(MemoryLayout<T>.size))
        advance(core, rdi, count &* UInt64(MemoryLayout<T>.size))
        return consume(core, count)
    }
    if load(core, staged, as: UInt64.self) == 0 {
        guard let from = readable(core, source(core, op), T.self) else { return .ask }
        store(core, stagedValue, UInt64(truncatingIfNeeded: load(from, 0, as: T.self)))
        store(core, staged, UInt64(1))
    }
    guard let to = writable(core, register(core, rdi, as: UInt64.self), T.self) else { return .ask }
    store(to, 0, T(truncatingIfNeeded: load(core, stagedValue, as: UInt64.self)))
    store(core, staged, UInt64(0))
    advance(core, rsi, step(T.self, core))
    advance(core, rdi, step(T.self, core))
    return repeats ? consume(core, 1) : .done
}

/// Copies upwards as long as both sides stay in pages that are at hand; nil if not even one element is.
@inline(__always) private func copyRun<T: Word>(_: T.Type, _ core: Core, _ op: Op) -> UInt64? {
    let size = UInt64(MemoryLayout<T>.size)
    guard load(core, CoreLayout.direction, as: Int64.self) > 0, load(core, staged, as: UInt64.self) == 0 else {
        return nil
    }
    let from = source(core, op)
    let to: UInt64 = register(core, rdi)
    let room = min(4096 &- from & 0xfff, 4096 &- to & 0xfff) / size
    let count = min(register(core, rcx, as: UInt64.self), room)
    guard count > 1, let a = readable(core, from, T.self), let b = writable(core, to, T.self) else { return nil }
    // The destination may begin inside the source: then elements written are read again, in order.
    for index in 0..<Int(truncatingIfNeeded: count) {
        store(b, index &* MemoryLayout<T>.size, load(a, index &* MemoryLayout<T>.size, as: T.self))
    }
    return count
}

@inline(__always) func storeString<T: Word>(_: T.Type, _ core: Core, _ op: Op, repeats: Bool) -> StringOutcome {
    let left: UInt64 = register(core, rcx)
    if repeats, left == 0 { return .done }
    let to: UInt64 = register(core, rdi)
    guard let memory = writable(core, to, T.self) else { return .ask }
    let value = register(core, 0, as: T.self)
    if repeats, load(core, CoreLayout.direction, as: Int64.self) > 0 {
        let count = max(1, min(left, (4096 &- to & 0xfff) / UInt64(MemoryLayout<T>.size)))
        for index in 0..<Int(truncatingIfNeeded: count) { store(memory, index &* MemoryLayout<T>.size, value) }
        advance(core, rdi, count &* UInt64(MemoryLayout<T>.size))
        return consume(core, count)
    }
    store(memory, 0, value)
    advance(core, rdi, step(T.self, core))
    return repeats ? consume(core, 1) : .done
}

@inline(__always) func loadString<T: Word>(_: T.Type, _ core: Core, _ op: Op, repeats: Bool) -> StringOutcome {
    if repeats, register(core, rcx, as: UInt64.self) == 0 { return .done }
    guard let memory = readable(core, source(core, op), T.self) else { return .ask }
    setRegister(core, 0, load(memory, 0, as: T.self))
    advance(core, rsi, step(T.self, core))
    return repeats ? consume(core, 1) : .done
}

/// CMPS; with a prefix it goes on while ZF is as the prefix says.
@inline(__always) func compareStrings<T: Word>(
    _: T.Type, _ core: Core, _ op: Op, repeats: Bool, whileZero: Bool
) -> StringOutcome {
    if repeats, register(core, rcx, as: UInt64.self) == 0 { return .done }
    if load(core, staged, as: UInt64.self) == 0 {
        guard let from = readable(core, source(core, op), T.self) else { return .ask }
        store(core, stagedValue, UInt64(truncatingIfNeeded: load(from, 0, as: T.self)))
        store(core, staged, UInt64(1))
    }
    guard let to = readable(core, register(core, rdi, as: UInt64.self), T.self) else { return .ask }
    let a = T(truncatingIfNeeded: load(core, stagedValue, as: UInt64.self))
    store(core, staged, UInt64(0))
    _ = Compare.apply(core, a, load(to, 0, as: T.self))
    advance(core, rsi, step(T.self, core))
    advance(core, rdi, step(T.self, core))
    guard repeats else { return .done }
    let outcome = consume(core, 1)
    return zero(core) == whileZero ? outcome : .done
}

/// SCAS.
@inline(__always) func scanString<T: Word>(
    _: T.Type, _ core: Core, _ op: Op, repeats: Bool, whileZero: Bool
) -> StringOutcome {
    if repeats, register(core, rcx, as: UInt64.self) == 0 { return .done }
    guard let to = readable(core, register(core, rdi, as: UInt64.self), T.self) else { return .ask }
    _ = Compare.apply(core, register(core, 0, as: T.self), load(to, 0, as: T.self))
    advance(core, rdi, step(T.self, core))
    guard repeats else { return .done }
    let outcome = consume(core, 1)
    return zero(core) == whileZero ? outcome : .done
}

@inline(__always) private func advance(_ core: Core, _ offset: UInt8, _ by: UInt64) {
    setRegister(core, offset, register(core, offset, as: UInt64.self) &+ by)
}
@inline(__always) private func consume(_ core: Core, _ count: UInt64) -> StringOutcome {
    let left = register(core, rcx, as: UInt64.self) &- count
    setRegister(core, rcx, left)
    return left == 0 ? .done : .again
}
