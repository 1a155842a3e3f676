// Branches, the stack and string instructions as operations of the core.

internal import ProcessorCore

/// The byte offset of RSP in a core's registers.
private let stackPointerOffset: UInt8 = 32

extension BlockBuilder {
    // MARK: The stack, in 64-bit mode only

    mutating func stack(_ instruction: Instruction) -> Bool {
        guard mode.code == .bits64 else { return false }
        if instruction.mnemonic == .leave {
            guard instruction.width == .quad else { return false }
            emit(OperationCode.leaveFrame)
            return true
        }
        let size = instruction.width.index
        switch (instruction.mnemonic, instruction.operands[0]) {
        case (.push, .register(let a)):
            emit(OperationCode.push(size: size, form: 0)) { $0.source = a.offset }
        case (.push, .immediate(let value)):
            emit(OperationCode.push(size: size, form: 1)) { $0.immediate = value }
        case (.push, .memory):
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.move(size: size, form: 2)) {
                reach.apply(&$0)
                $0.destination = Self.temporary1
            }
            emit(OperationCode.push(size: size, form: 0)) { $0.source = Self.temporary1 }
        case (.pop, .register(let a)):
            emit(OperationCode.pop(size: size)) { $0.destination = a.offset }
        case (.pop, .memory):
            // The address is computed with the stack pointer after the pop, and nothing may change if the store faults.
            let width = Int64(instruction.width.byteCount)
            emit(OperationCode.move(size: size, form: 2)) {
                $0.base = stackPointerOffset
                $0.destination = Self.temporary1
            }
            var memory = instruction.memory
            if memory.base == 4 { memory.displacement &+= width }
            let reach = reach(instruction, memory)
            emit(OperationCode.move(size: size, form: 3)) {
                reach.apply(&$0)
                $0.source = Self.temporary1
            }
            emit(OperationCode.computeAddress(size: 3)) {
                $0.base = stackPointerOffset
                $0.displacement = width
                $0.destination = stackPointerOffset
            }
        default: return false
        }
        return true
    }

    // MARK: Strings

    mutating func string(_ instruction: Instruction) -> Bool {
        guard mode.code == .bits64, instruction.addressWidth == .quad else { return false }
        let kind: Int
        let isByte: Bool
        switch instruction.mnemonic {
        case .movsb: (kind, isByte) = (0, true)
        case .movs: (kind, isByte) = (0, false)
        case .stosb: (kind, isByte) = (1, true)
        case .stos: (kind, isByte) = (1, false)
        case .lodsb: (kind, isByte) = (2, true)
        case .lods: (kind, isByte) = (2, false)
        case .cmpsb: (kind, isByte) = (3, true)
        case .cmps: (kind, isByte) = (3, false)
        case .scasb: (kind, isByte) = (4, true)
        default: (kind, isByte) = (4, false)
        }
        let size = isByte ? 0 : instruction.width.index
        emit(OperationCode.string(kind: kind, size: size, prefix: Int(instruction.repeatPrefix.rawValue))) {
            if let segment = instruction.segmentOverride {
                $0.base = UInt8(CoreLayout.segmentBases) + segment.rawValue * 8
            }
        }
        return true
    }

    // MARK: Branches

    mutating func branch(_ instruction: Instruction) -> Bool {
        // Outside 64-bit mode RIP is cut to 16 or 32 bits, and code segments have limits: the run loop knows.
        guard mode.code == .bits64 else { return false }
        switch instruction.operands.first {
        case .target(let offset): return direct(instruction, offset)
        case .register(let a):
            guard a.width == .quad else { return false }
            return indirect(instruction, a.offset)
        case .memory:
            guard instruction.memory.width == .quad else { return false }
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.move(size: 3, form: 2)) {
                reach.apply(&$0)
                $0.destination = Self.temporary1
            }
            return indirect(instruction, Self.temporary1)
        case .immediate(let released):
            emit(OperationCode.returnNear) { $0.immediate = released }
            end()
        case nil:
            emit(OperationCode.returnNear)
            end()
        default: return false
        }
        return true
    }

    private mutating func direct(_ instruction: Instruction, _ offset: Int64) -> Bool {
        let following = Int64(byteCount)
        let target = Int32(truncatingIfNeeded: following &+ offset)
        switch instruction.mnemonic {
        case .jmp:
            emit(OperationCode.jump) { $0.target = target }
            end()
        case .call:
            emit(OperationCode.call) {
                $0.target = target
                $0.displacement = following
            }
            end()
        case .jcxz:
            emitBranch(OperationCode.jumpIfCountZero(size: instruction.addressWidth.index), offset)
        case .loopne: emitBranch(OperationCode.loop(kind: 0, size: instruction.addressWidth.index), offset)
        case .loope: emitBranch(OperationCode.loop(kind: 1, size: instruction.addressWidth.index), offset)
        case .loop: emitBranch(OperationCode.loop(kind: 2, size: instruction.addressWidth.index), offset)
        default: conditional(instruction.condition, offset)
        }
        return true
    }

    private mutating func indirect(_ instruction: Instruction, _ source: UInt8) -> Bool {
        let following = Int64(byteCount)
        switch instruction.mnemonic {
        case .jmp: emit(OperationCode.jumpR(size: 3)) { $0.source = source }
        case .call:
            emit(OperationCode.callR) {
                $0.source = source
                $0.displacement = following
            }
        default: return false
        }
        end()
        return true
    }

    /// Jcc, fused with a comparison right before it.
    private mutating func conditional(_ condition: Int, _ offset: Int64) {
        let conditions = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]
        let first = OperationCode.binary(kind: 7, size: 0, form: 0)
        if let last, last.code >= first, last.code < OperationCode.unary(kind: 0, size: 0, form: 0),
            let index = conditions.firstIndex(of: condition)
        {
            let number = Int(last.code - first)
            let (test, size, form) = (number / 20, number / 5 % 4, number % 5)
            if form < 2, let comparison = takeLast() {
                emitBranch(OperationCode.fused(test: test, size: size, form: form, condition: index), offset) {
                    $0.destination = comparison.destination
                    $0.source = comparison.source
                    $0.immediate = comparison.immediate
                }
                return
            }
        }
        emitBranch(OperationCode.jumpIf(condition: condition), offset)
    }
}
