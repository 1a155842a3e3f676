// Where everything lives in the memory of one virtual processor's core. One allocation, touched by raw pointers only:
// class properties, arrays and closures on the hot path cost five to thirty times as much.

/// The memory of one core.
package typealias Core = UnsafeMutableRawPointer

/// Byte offsets into a core's memory.
package enum CoreLayout {
    /// The sixteen general registers, 8 bytes each, in the order of their numbers. Operations name them by offset.
    package static let registers = 0x000
    /// Always zero: stands for an absent base or index.
    package static let zero: UInt8 = 0x80
    /// The RIP of the first instruction of the running block; RIP-relative operands use it as a base.
    package static let blockRIP = 0x88
    /// Three registers for operations that one instruction is split into.
    package static let temporaries = 0x90
    /// Whether a string instruction has read an element that it has yet to write: the third temporary.
    package static let stagedElement = 0xa0
    /// The bases of ES, CS, SS, DS, FS and GS.
    package static let segmentBases = 0xa8
    /// The last result's kind and size: see `FlagKind`.
    package static let flagKind = 0xe0
    /// The last result.
    package static let flagResult = 0xe8
    /// The last result's second operand, or flags that are already known.
    package static let flagOperand = 0xf0
    /// Instructions left before the run loop wants to be asked.
    package static let budget = 0xf8
    /// Why the core left: see `CoreExit`.
    package static let exit = 0x100
    /// The operation at which it left.
    package static let exitOperation = 0x108
    /// In builds without tail calls: the operation to run next.
    package static let nextOperation = 0x110
    /// RIP after a completed branch that left the core.
    package static let exitRIP = 0x118
    /// The linear address of the access that missed the TLB, and its kind.
    package static let missAddress = 0x120
    /// The callbacks of the owner.
    package static let callbacks = 0x128
    /// What the owner's callbacks are given.
    package static let context = 0x130
    /// +1 or -1 in the direction of string instructions: RFLAGS.DF.
    package static let direction = 0x138
    /// MXCSR.
    package static let mxcsr = 0x140
    /// x87 control, status and tag words, 2 bytes each; of the tag word the short form, a bit for each register in use.
    package static let x87Control = 0x148
    package static let x87Status = 0x14a
    package static let x87Tag = 0x14c
    /// x87 opcode, 2 bytes; then the last instruction's and the last operand's addresses.
    package static let x87Opcode = 0x14e
    package static let x87Instruction = 0x150
    package static let x87Data = 0x158
    /// The thread's MXCSR as it was outside the core.
    package static let outerMXCSR = 0x160
    /// Sixteen vector registers of 32 bytes.
    package static let vectors = 0x200
    /// Eight x87 registers of 16 bytes, by physical number.
    package static let x87Registers = 0x400
    /// For accesses that cross a page: 64 bytes.
    package static let scratch = 0x500
    /// The jump cache: `jumpCacheCount` entries of RIP and operation.
    package static let jumpCache = 0x4000
    package static let jumpCacheCount = 1024
    /// The software TLB: `tlbCount` entries of 32 bytes.
    package static let tlb = 0x8000
    package static let tlbCount = 1024
    /// All of it.
    package static let byteCount = 0x10000
}

/// Why a core returned to its run loop.
package enum CoreExit: UInt64, Sendable {
    case none = 0
    /// The budget is used up; `exitRIP` is where to go on.
    case budget = 1
    /// `exitOperation` is one that the run loop executes itself.
    case complex = 2
    /// The owner's callback refused an access or a fetch; it knows why.
    case refused = 3
    /// The operation after a single step.
    case stepped = 4
}

@inline(__always) func load<T>(_ core: Core, _ offset: Int, as type: T.Type = T.self) -> T {
    (core + offset).assumingMemoryBound(to: T.self).pointee
}
@inline(__always) func store<T>(_ core: Core, _ offset: Int, _ value: T) {
    (core + offset).assumingMemoryBound(to: T.self).pointee = value
}

/// Unsigned integers of 8 to 64 bits.
package typealias Word = FixedWidthInteger & UnsignedInteger & Sendable

@inline(__always) func register<T: FixedWidthInteger>(_ core: Core, _ offset: UInt8, as type: T.Type = T.self) -> T {
    load(core, Int(offset))
}
/// Writes a register; a 32-bit write clears the upper half.
@inline(__always) func setRegister<T: Word>(_ core: Core, _ offset: UInt8, _ value: T) {
    if T.bitWidth == 32 {
        store(core, Int(offset), UInt64(truncatingIfNeeded: value))
    } else {
        store(core, Int(offset), value)
    }
}
