// A decoded instruction, as the manual writes it: what it is, how wide, and its operands. Not what is run: see Lowering.

/// How wide operands or addresses are.
enum Width: UInt8, Comparable, Sendable {
    case byte, word, double, quad, octo

    /// The number of bytes.
    var byteCount: Int { 1 << Int(rawValue) }
    /// The width as an index of a family of operations: 0 to 3.
    var index: Int { Int(rawValue) }
    static func < (a: Width, b: Width) -> Bool { a.rawValue < b.rawValue }
}

/// The mode that code runs in, as far as decoding depends on it.
enum CodeMode: UInt8, Sendable {
    case bits16, bits32, bits64
}

/// A segment register, by its number.
enum SegmentName: UInt8, CaseIterable, Sendable {
    case es, cs, ss, ds, fs, gs
}

/// A general register as an operand. Numbers 4 to 7 of width byte are SPL to DIL; AH to BH have `isHigh` and 0 to 3.
struct RegisterOperand: Hashable, Sendable {
    var number: UInt8
    var width: Width
    var isHigh = false

    /// The byte offset in a core's registers.
    var offset: UInt8 { number * 8 + (isHigh ? 1 : 0) }
}

/// A memory operand.
struct MemoryOperand: Hashable, Sendable {
    /// The number of the base register; nil for none.
    var base: UInt8?
    /// The number of the index register; nil for none.
    var index: UInt8?
    /// 1, 2, 4 or 8.
    var scale: UInt8 = 1
    var displacement: Int64 = 0
    /// The displacement counts from the end of the instruction.
    var isRelative = false
    var segment = SegmentName.ds
    /// What the effective address is cut to.
    var addressWidth = Width.quad
    /// The width of the access; octo for 16 bytes, and what the instruction says where it says nothing.
    var width = Width.quad
}

/// An operand.
enum Operand: Hashable, Sendable {
    case register(RegisterOperand)
    case memory
    /// Sign-extended from its encoding.
    case immediate(Int64)
    /// A branch target, relative to the end of the instruction.
    case target(Int64)
    /// A far pointer.
    case far(selector: UInt16, offset: UInt32)
    case segment(SegmentName)
    case control(UInt8)
    case debug(UInt8)
    /// A vector register, XMM0 to XMM15.
    case vector(UInt8)
    /// An MMX register.
    case mmx(UInt8)
    /// A register of the x87 stack, counted from its top.
    case stack(UInt8)
}

/// The operands of an instruction, as the manual writes them, in place: instructions are copied for each one that is not an
/// operation of the core, and that counts no references.
struct OperandList: RandomAccessCollection, Sendable {
    /// No form has more.
    static let capacity = 4

    private var operands = InlineArray<4, Operand>(repeating: .memory)
    private(set) var endIndex = 0
    var startIndex: Int { 0 }

    subscript(index: Int) -> Operand {
        precondition(index < endIndex)
        return operands[index]
    }

    /// Adds an operand. There may be `capacity` of them.
    mutating func append(_ operand: Operand) {
        operands[endIndex] = operand
        endIndex += 1
    }
}

/// REP and its kin.
enum RepeatPrefix: UInt8, Sendable {
    case none, f3, f2
}

/// A decoded instruction.
struct Instruction: Sendable {
    var mnemonic: Mnemonic
    /// The last byte of the opcode: its low four bits are the condition of Jcc, SETcc and CMOVcc.
    var opcode: UInt8
    var length = 0
    var mode: CodeMode
    /// The effective operand size.
    var width = Width.double
    /// The effective address size.
    var addressWidth = Width.quad
    var operands = OperandList()
    /// The memory operand, if `operands` has one.
    var memory = MemoryOperand()
    var repeatPrefix = RepeatPrefix.none
    var isLocked = false
    /// The segment that a prefix names.
    var segmentOverride: SegmentName?
    /// The line of Spec/x86-opcodes.txt that the form is from.
    var form = 0

    /// The ModRM byte; 0 if there is none.
    var modRM: UInt8 = 0

    /// Whether the run loop must find the next block anew after executing it: the decoder asks `goesOnInBlock` once.
    var endsBlock = true

    /// The condition of Jcc, SETcc and CMOVcc.
    var condition: Int { Int(opcode & 0xf) }
    var hasMemory: Bool { operands.contains(.memory) }
}

/// What decoding came to.
enum Decoded: Sendable {
    case instruction(Instruction)
    /// The bytes given end within the instruction.
    case incomplete
    /// #UD.
    case undefined
    /// #GP: longer than 15 bytes.
    case tooLong
}
