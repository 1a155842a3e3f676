// From instructions to operations. What the core has no operation for becomes one that the run loop executes itself.

internal import ProcessorCore

/// How far code can be trusted to need no segment checks; part of what a block is kept under.
struct BlockMode: Hashable, Sendable {
    var code: CodeMode
    /// Some data segment has a limit below 4 GiB, or is not a writable one that grows upwards: each access is checked.
    var checksSegments = false

    /// Vector instructions raise #UD or #NM.
    var forbidsVectors = false

    /// Some exception of MXCSR is not masked: the run loop executes what may raise one.
    var trapsFloats = false

    /// Each instruction is a block: something is looked at between any two.
    var isSingle = false

    init(
        _ code: CodeMode, checksSegments: Bool = false, forbidsVectors: Bool = false, trapsFloats: Bool = false,
        isSingle: Bool = false
    ) {
        self.trapsFloats = trapsFloats
        self.isSingle = isSingle
        self.code = code
        self.checksSegments = checksSegments
        self.forbidsVectors = forbidsVectors
    }
}

/// Builds the operations of one block.
struct BlockBuilder {
    /// The most instructions of a block.
    static let maximumCount = 32

    let mode: BlockMode
    private(set) var operations: [Operation] = []
    /// Instructions that the run loop executes: operations of `complex` hold the index as immediate, plus `firstInstruction`.
    private(set) var instructions: [Instruction] = []
    private let firstInstruction: Int
    private var count: UInt8 = 0
    /// Bytes of code so far.
    private(set) var byteCount = 0
    private var start: Int32 = 0
    private(set) var isFinished = false

    init(mode: BlockMode, firstInstruction: Int) {
        self.mode = mode
        self.firstInstruction = firstInstruction
    }

    var isEmpty: Bool { count == 0 }
    var isFull: Bool { Int(count) >= (mode.isSingle ? 1 : Self.maximumCount) }

    /// Adds an instruction.
    mutating func add(_ instruction: Instruction) {
        start = Int32(byteCount)
        byteCount += instruction.length
        count += 1
        if !lower(instruction) { emitComplex(instruction) }
        joinMove()
    }

    /// Ends the block with the edge to what follows, unless a branch has ended it.
    mutating func finish() {
        guard !isFinished else { return }
        start = Int32(byteCount)
        emitEdge()
        isFinished = true
    }

    // MARK: Emitting

    /// The edge to the instruction behind this block.
    private mutating func emitEdge() {
        let target = Int32(byteCount)
        emit(OperationCode.jump) { $0.target = target }
    }

    mutating func emit(_ code: UInt16, _ fill: (inout Operation) -> Void = { _ in }) {
        var operation = Operation(code)
        operation.ordinal = count
        operation.start = start
        fill(&operation)
        if Self.hasFirstOperand(code) { operation.base = operation.destination }
        operations.append(operation)
    }

    mutating func emitComplex(_ instruction: Instruction) {
        let number = Int64(firstInstruction + instructions.count)
        emit(OperationCode.complex) { $0.immediate = number }
        instructions.append(instruction)
        if instruction.endsBlock { finish() }
    }

    /// A conditional branch: the edge to what follows comes right behind it.
    mutating func emitBranch(_ code: UInt16, _ offset: Int64, _ fill: (inout Operation) -> Void = { _ in }) {
        let target = Int32(truncatingIfNeeded: Int64(byteCount) &+ offset)
        emit(code) {
            $0.target = target
            fill(&$0)
        }
        emitEdge()
        isFinished = true
    }

    /// An unconditional branch has ended the block.
    mutating func end() { isFinished = true }

    /// Replaces the last operation: for a comparison that a branch is fused with.
    mutating func takeLast() -> Operation? { operations.popLast() }
    var last: Operation? { operations.last }

    /// Replaces the last operations by one.
    mutating func replaceLast(_ count: Int, with operation: Operation) {
        operations.removeLast(count)
        operations.append(operation)
    }

    /// Makes an operation another with the same operands.
    mutating func change(_ index: Int, to code: UInt16) {
        operations[index].become(code)
    }

    // MARK: Memory operands

    /// What a memory operand becomes in an operation.
    struct Reach {
        var base = CoreLayout.zero
        var index = CoreLayout.zero
        var scale: UInt8 = 0
        var displacement: Int64 = 0

        func apply(_ operation: inout Operation) {
            operation.base = base
            operation.index = index
            operation.scale = scale
            operation.displacement = displacement
        }
    }

    static let temporary0 = UInt8(CoreLayout.temporaries)
    static let temporary1 = UInt8(CoreLayout.temporaries + 8)

    /// The offset of a memory operand in its segment, uncut.
    private func offset(_ memory: MemoryOperand) -> Reach {
        var reach = Reach()
        if let base = memory.base { reach.base = base * 8 }
        if let index = memory.index {
            reach.index = index * 8
            reach.scale = UInt8(memory.scale.trailingZeroBitCount)
        }
        reach.displacement = memory.displacement
        if memory.isRelative {
            reach.base = UInt8(CoreLayout.blockRIP)
            reach.displacement &+= Int64(byteCount)
        }
        return reach
    }

    private static func segmentBase(_ segment: SegmentName) -> UInt8 {
        UInt8(CoreLayout.segmentBases) + segment.rawValue * 8
    }

    /// Emits what it takes to make a memory operand reachable by one operation.
    mutating func reach(_ instruction: Instruction, _ memory: MemoryOperand) -> Reach {
        if mode.checksSegments { emitCheck(instruction) }
        var reach = offset(memory)
        if mode.code == .bits64 {
            let hasBase = memory.segment == .fs || memory.segment == .gs
            if memory.addressWidth == .double { reach = cut(reach, to: .double) }
            guard hasBase else { return reach }
            if reach.index != CoreLayout.zero { reach = cut(reach, to: .quad) }
            reach.index = Self.segmentBase(memory.segment)
            return reach
        }
        reach = cut(reach, to: memory.addressWidth)
        reach.index = Self.segmentBase(memory.segment)
        // The sum with the segment's base is cut to 32 bits.
        return cut(reach, to: .double)
    }

    /// Computes an address into a temporary, cut to a width.
    mutating func cut(_ reach: Reach, to width: Width) -> Reach {
        let code =
            width == .word ? OperationCode.computeAddress16 : OperationCode.computeAddress(size: width.index)
        emit(code) {
            reach.apply(&$0)
            $0.destination = Self.temporary0
        }
        return Reach(base: Self.temporary0)
    }

    /// Lets the run loop check segment and limit of the memory operand before the operations that follow.
    private mutating func emitCheck(_ instruction: Instruction) {
        let number = Int64(firstInstruction + instructions.count)
        emit(OperationCode.complex) { $0.immediate = ~number }
        instructions.append(instruction)
    }

    /// The effective address without a segment, for LEA.
    mutating func emitLoadAddress(_ memory: MemoryOperand, _ destination: RegisterOperand) {
        var reach = offset(memory)
        if memory.addressWidth < destination.width || memory.addressWidth == .word {
            reach = cut(reach, to: memory.addressWidth)
        }
        emit(OperationCode.computeAddress(size: destination.width.index)) {
            reach.apply(&$0)
            $0.destination = destination.offset
        }
    }
}

extension Instruction {
    /// Whether nothing that it does can change which code runs next, or under which rules.
    var goesOnInBlock: Bool {
        if isX87 || isMMX { return true }
        switch mnemonic {
        case .rdtsc, .rdtscp, .cpuid, .rdrand, .rdseed, .movbe, .crc32, .enter, .pusha, .popa, .pushf, .xlat, .aaa,
            .aas,
            .aad, .aam, .daa, .das, .fxsave, .stmxcsr, .sldt, .str, .sgdt, .sidt, .smsw, .xgetbv,
            .rdmsr,
            .lar, .lsl, .verr, .verw, .bound, .arpl, .push, .pop, .cmpxchg8b, .rdfsbase, .rdgsbase, .movsb, .movs,
            .stosb,
            .stos, .lodsb, .lods, .cmpsb, .cmps, .scasb, .scas, .leave, .div, .idiv, .wbinvd, .invd, .fwait, .xsave,
            .xsavec,
            .xsaveopt, .xsaves, .andn, .blsr, .blsmsk, .blsi, .bzhi, .bextr, .pdep, .pext, .mulx,
            .rorx,
            .shlx, .shrx, .sarx, .adcx, .adox, .maskmovdqu, .rdpid, .clzero:
            return true
        default: return false
        }
    }
}
