// Vector instructions: a handful of handlers that bring the operands, and a kernel for each instruction that computes.
//
// A kernel gets pointers to its destination and source, in the core or in guest memory, and the immediate. It is called, not
// jumped to: vector code pays a call for each instruction and the table of handlers stays small.

/// Computes one vector instruction: core, destination, source, immediate.
package typealias Kernel =
    @convention(c) (
        UnsafeMutableRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int
    ) -> Void

/// The operands' places, for operations that call kernels: `target` is the offset of the register operand in the core, and
/// `displacement` that of a second one. `link` is the kernel.
@inline(__always) package func kernelLink(_ kernel: Kernel) -> UnsafeMutableRawPointer {
    unsafeBitCast(kernel, to: UnsafeMutableRawPointer.self)
}

@inline(__always) private func call(
    _ core: Core, _ op: Op, _ destination: UnsafeMutableRawPointer, _ source: UnsafeMutableRawPointer
) {
    let kernel = unsafeBitCast(op.pointee.link.unsafelyUnwrapped, to: Kernel.self)
    kernel(core, destination, source, Int(op.pointee.immediate))
}

@inline(__always) func kernelRR(_ core: Core, _ op: Op) {
    call(core, op, core + Int(op.pointee.target), core + Int(op.pointee.displacement))
}
/// Bytes of an operand in memory.
struct Bytes16 { var low: UInt64, high: UInt64 }

/// The source is memory.
@inline(__always) func kernelRM<T>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = readable(core, address(core, op), T.self) else { return false }
    call(core, op, core + Int(op.pointee.target), memory)
    return true
}
/// The destination is memory.
@inline(__always) func kernelMR<T>(_: T.Type, _ core: Core, _ op: Op) -> Bool {
    guard let memory = writable(core, address(core, op), T.self) else { return false }
    call(core, op, memory, core + Int(op.pointee.target))
    return true
}
/// Whether a 16-byte operand is aligned, as most instructions demand.
@inline(__always) func isAligned(_ core: Core, _ op: Op) -> Bool { address(core, op) & 15 == 0 }
