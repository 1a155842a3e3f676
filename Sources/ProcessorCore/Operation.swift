// What an instruction becomes: one or a few operations with operands resolved to byte offsets.

/// Runs one operation and then, in tail position, the next.
package typealias Handler = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void

/// A handler as Swift compiles it. A closure of the type `Handler` would be a C function that jumps to the Swift function:
/// one jump more for each operation.
struct NativeHandler: Sendable {
    let run: @Sendable (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void

    /// The function itself. It captures nothing, and Swift passes two pointers in the registers that C does.
    var code: Handler {
        unsafeBitCast(unsafeBitCast(self, to: (code: UInt, context: UInt).self).code, to: Handler.self)
    }
}

/// A decoded operation, 48 bytes of plain data.
package struct Operation {
    /// What to run.
    package var handler: Handler
    /// The number of the handler in the table.
    package var code: UInt16
    /// Byte offset of the destination register, or the number of a vector register.
    package var destination: UInt8 = CoreLayout.zero
    /// Byte offset of the source register, or the number of a vector register.
    package var source: UInt8 = CoreLayout.zero
    /// Byte offset of the base of the memory operand; of an operation on registers alone, of the first operand, which is the
    /// destination unless a move has been joined with it.
    package var base: UInt8 = CoreLayout.zero
    /// Byte offset of the index.
    package var index: UInt8 = CoreLayout.zero
    /// Power of two by which the index is multiplied.
    package var scale: UInt8 = 0
    /// How many of the block's instructions are complete when this operation is.
    package var ordinal: UInt8 = 0
    /// Displacement of the memory operand.
    package var displacement: Int64 = 0
    /// Immediate operand, or the index of the whole instruction for complex operations.
    package var immediate: Int64 = 0
    /// Of a branch: the operation it goes to, once known.
    package var link: UnsafeMutableRawPointer?
    /// Of a branch: the target, relative to the block's first instruction.
    package var target: Int32 = 0
    /// The start of the instruction, relative to the block's first.
    package var start: Int32 = 0

    /// Makes an operation of a handler.
    package init(_ code: UInt16) {
        self.code = code
        handler = handlers[Int(code)]
    }

    /// Becomes another operation on the same operands.
    package mutating func become(_ code: UInt16) {
        self.code = code
        handler = handlers[Int(code)]
    }
}

typealias Op = UnsafeMutablePointer<Operation>

@inline(__always) func operation(_ pointer: UnsafeMutableRawPointer) -> Op {
    pointer.assumingMemoryBound(to: Operation.self)
}

/// Runs the next operation: a tail call where the optimiser makes one, else through the loop of `run`.
@inline(__always) func next(_ core: Core, _ op: Op) {
    #if RAMPART_THREADED
        op.pointee.handler(core, UnsafeMutableRawPointer(op))
    #else
        store(core, CoreLayout.nextOperation, Optional(UnsafeMutableRawPointer(op)))
    #endif
}

/// Leaves the core at an operation that is not done.
@inline(__always) func leave(_ core: Core, _ op: Op, _ reason: CoreExit) {
    store(core, CoreLayout.exitOperation, Optional(UnsafeMutableRawPointer(op)))
    store(core, CoreLayout.exit, reason.rawValue)
}

/// Runs operations until the core leaves.
package func run(_ core: Core, from first: UnsafeMutableRawPointer) {
    store(core, CoreLayout.exit, CoreExit.none.rawValue)
    enterFloats(core)
    defer { leaveFloats(core) }
    #if RAMPART_THREADED
        operation(first).pointee.handler(core, first)
    #else
        var op: UnsafeMutableRawPointer? = first
        while let here = op {
            store(core, CoreLayout.nextOperation, UnsafeMutableRawPointer?.none)
            operation(here).pointee.handler(core, here)
            op = load(core, CoreLayout.nextOperation)
        }
    #endif
}

/// Whether handlers are joined by tail calls in this build.
package var isThreaded: Bool {
    #if RAMPART_THREADED
        true
    #else
        false
    #endif
}
