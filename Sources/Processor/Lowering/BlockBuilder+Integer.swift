// Integer instructions as operations of the core.

internal import ProcessorCore

extension BlockBuilder {
    private enum Form { static let rr = 0, ri = 1, rm = 2, mr = 3, mi = 4 }

    /// Emits the operations of an instruction; false, with nothing emitted, if it is the run loop's.
    mutating func lower(_ instruction: Instruction) -> Bool {
        let operands = instruction.operands
        switch instruction.mnemonic {
        case .add: return binary(0, instruction)
        case .or: return binary(1, instruction)
        case .adc: return binary(2, instruction)
        case .sbb: return binary(3, instruction)
        case .and: return binary(4, instruction)
        case .sub: return binary(5, instruction)
        case .xor: return binary(6, instruction)
        case .cmp: return binary(7, instruction)
        case .test: return binary(8, instruction)
        case .inc: return unary(0, instruction)
        case .dec: return unary(1, instruction)
        case .neg: return unary(2, instruction)
        case .not: return unary(3, instruction)
        case .mov: return move(instruction)
        case .movzx, .movsx, .movsxd: return extend(instruction)
        case .lea:
            guard case .register(let destination) = operands[0] else { return false }
            emitLoadAddress(instruction.memory, destination)
            return true
        case .xchg:
            return exchange(instruction) { OperationCode.exchange(size: $0, form: $1) }
        case .xadd:
            return exchange(instruction) { OperationCode.exchangeAdd(size: $0, form: $1) }
        case .cmpxchg:
            return exchange(instruction) { OperationCode.compareExchange(size: $0, form: $1) }
        case .seto, .setno, .setb, .setae, .sete, .setne, .setbe, .seta, .sets, .setns, .setp, .setnp, .setl, .setge,
            .setle, .setg:
            return inPlace(instruction, operands[0]) { _, form in
                OperationCode.setByte(condition: instruction.condition, form: form)
            }
        case .cmovo, .cmovno, .cmovb, .cmovae, .cmove, .cmovne, .cmovbe, .cmova, .cmovs, .cmovns, .cmovp, .cmovnp,
            .cmovl,
            .cmovge, .cmovle, .cmovg:
            return intoRegister(instruction) {
                OperationCode.conditionalMove(condition: instruction.condition, size: $0, form: $1)
            }
        case .rol: return shift(0, instruction)
        case .ror: return shift(1, instruction)
        case .rcl: return shift(2, instruction)
        case .rcr: return shift(3, instruction)
        case .shl: return shift(4, instruction)
        case .shr: return shift(5, instruction)
        case .sar: return shift(7, instruction)
        case .shld: return doubleShift(0, instruction)
        case .shrd: return doubleShift(1, instruction)
        case .mul:
            return fromValue(instruction, operands[0]) { OperationCode.multiplyWide(size: $0) }
        case .imul: return multiply(instruction)
        case .div:
            return fromValue(instruction, operands[0]) { OperationCode.divide(size: $0) }
        case .idiv:
            return fromValue(instruction, operands[0]) { OperationCode.divideSigned(size: $0) }
        case .bt: return bit(0, instruction)
        case .bts: return bit(1, instruction)
        case .btr: return bit(2, instruction)
        case .btc: return bit(3, instruction)
        case .bsf: return scan(instruction) { OperationCode.scanForward(size: $0) }
        case .bsr: return scan(instruction) { OperationCode.scanReverse(size: $0) }
        case .tzcnt: return scan(instruction) { OperationCode.countTrailing(size: $0) }
        case .lzcnt: return scan(instruction) { OperationCode.countLeading(size: $0) }
        case .popcnt: return scan(instruction) { OperationCode.countOnes(size: $0) }
        case .bswap:
            guard case .register(let register) = operands[0] else { return false }
            emit(OperationCode.swapBytes(size: register.width.index)) { $0.destination = register.offset }
            return true
        case .cbw:
            emit(OperationCode.widenAccumulator(size: instruction.width.index))
            return true
        case .cwd:
            emit(OperationCode.spreadSign(size: instruction.width.index))
            return true
        case .clc: return plain(OperationCode.flag(kind: 0))
        case .stc: return plain(OperationCode.flag(kind: 1))
        case .cmc: return plain(OperationCode.flag(kind: 2))
        case .lahf: return plain(OperationCode.flag(kind: 3))
        case .sahf: return plain(OperationCode.flag(kind: 4))
        case .cld: return plain(OperationCode.direction(down: 0))
        case .std: return plain(OperationCode.direction(down: 1))
        case .nop where instruction.repeatPrefix != .f3: return plain(OperationCode.nothing)
        case .lfence, .mfence, .sfence, .clflush, .clflushopt, .clwb: return plain(OperationCode.nothing)
        case .push, .pop, .leave: return stack(instruction)
        case .movsb, .movs, .stosb, .stos, .lodsb, .lods, .cmpsb, .cmps, .scasb, .scas: return string(instruction)
        case .jo, .jno, .jb, .jae, .je, .jne, .jbe, .ja, .js, .jns, .jp, .jnp, .jl, .jge, .jle, .jg, .jmp, .call, .ret,
            .jcxz, .loop, .loope, .loopne:
            return branch(instruction)
        default: return vector(instruction)
        }
    }

    private mutating func plain(_ code: UInt16) -> Bool {
        emit(code)
        return true
    }

    // MARK: Shapes

    private mutating func binary(_ kind: Int, _ instruction: Instruction) -> Bool {
        twoOperands(instruction) { OperationCode.binary(kind: kind, size: $0, form: $1) }
    }

    private mutating func move(_ instruction: Instruction) -> Bool {
        twoOperands(instruction) { OperationCode.move(size: $0, form: $1) }
    }

    /// RR, RI, RM, MR and MI.
    private mutating func twoOperands(_ instruction: Instruction, _ code: (Int, Int) -> UInt16) -> Bool {
        switch (instruction.operands[0], instruction.operands[1]) {
        case (.register(let a), .register(let b)):
            emit(code(a.width.index, Form.rr)) {
                $0.destination = a.offset
                $0.source = b.offset
            }
        case (.register(let a), .immediate(let value)):
            emit(code(a.width.index, Form.ri)) {
                $0.destination = a.offset
                $0.immediate = value
            }
        case (.register(let a), .memory):
            let reach = reach(instruction, instruction.memory)
            emit(code(a.width.index, Form.rm)) {
                reach.apply(&$0)
                $0.destination = a.offset
            }
        case (.memory, .register(let b)):
            let reach = reach(instruction, instruction.memory)
            emit(code(b.width.index, Form.mr)) {
                reach.apply(&$0)
                $0.source = b.offset
            }
        case (.memory, .immediate(let value)):
            let reach = reach(instruction, instruction.memory)
            emit(code(instruction.memory.width.index, Form.mi)) {
                reach.apply(&$0)
                $0.immediate = value
            }
        default: return false
        }
        return true
    }

    private mutating func unary(_ kind: Int, _ instruction: Instruction) -> Bool {
        inPlace(instruction, instruction.operands[0]) { OperationCode.unary(kind: kind, size: $0, form: $1) }
    }

    /// One operand, read or written where it is: R or M.
    private mutating func inPlace(
        _ instruction: Instruction, _ operand: Operand, _ code: (Int, Int) -> UInt16,
        _ fill: (inout Operation) -> Void = { _ in }
    ) -> Bool {
        switch operand {
        case .register(let a):
            emit(code(a.width.index, 0)) {
                $0.destination = a.offset
                fill(&$0)
            }
        case .memory:
            let reach = reach(instruction, instruction.memory)
            emit(code(instruction.memory.width.index, 1)) {
                reach.apply(&$0)
                fill(&$0)
            }
        default: return false
        }
        return true
    }

    /// Register or memory into a register: RR or RM.
    private mutating func intoRegister(_ instruction: Instruction, _ code: (Int, Int) -> UInt16) -> Bool {
        guard case .register(let a) = instruction.operands[0] else { return false }
        switch instruction.operands[1] {
        case .register(let b):
            emit(code(a.width.index, 0)) {
                $0.destination = a.offset
                $0.source = b.offset
            }
        case .memory:
            let reach = reach(instruction, instruction.memory)
            emit(code(a.width.index, 1)) {
                reach.apply(&$0)
                $0.destination = a.offset
            }
        default: return false
        }
        return true
    }

    /// Register or memory with a register: RR or MR. XCHG may name its register first.
    private mutating func exchange(_ instruction: Instruction, _ code: (Int, Int) -> UInt16) -> Bool {
        guard case .register(let b) = instruction.operands[1] else { return false }
        return inPlace(instruction, instruction.operands[0], code) { $0.source = b.offset }
    }

    /// The register that holds an operand's value, loaded into a temporary if it is in memory.
    private mutating func value(_ instruction: Instruction, _ operand: Operand) -> (UInt8, Width)? {
        switch operand {
        case .register(let a): return (a.offset, a.width)
        case .memory:
            let reach = reach(instruction, instruction.memory)
            let width = instruction.memory.width
            emit(OperationCode.move(size: width.index, form: Form.rm)) {
                reach.apply(&$0)
                $0.destination = Self.temporary1
            }
            return (Self.temporary1, width)
        default: return nil
        }
    }

    /// An operation whose source is a register: the operand's value.
    private mutating func fromValue(
        _ instruction: Instruction, _ operand: Operand, _ code: (Int) -> UInt16
    ) -> Bool {
        guard let (source, width) = value(instruction, operand) else { return false }
        emit(code(width.index)) { $0.source = source }
        return true
    }

    private mutating func scan(_ instruction: Instruction, _ code: (Int) -> UInt16) -> Bool {
        guard case .register(let a) = instruction.operands[0],
            let (source, width) = value(instruction, instruction.operands[1])
        else { return false }
        emit(code(width.index)) {
            $0.destination = a.offset
            $0.source = source
        }
        return true
    }

    private mutating func extend(_ instruction: Instruction) -> Bool {
        let signed = instruction.mnemonic == .movzx ? 0 : 1
        let from: Width
        switch instruction.operands[1] {
        case .register(let b): from = b.width
        case .memory: from = instruction.memory.width
        default: return false
        }
        if case .register(let a) = instruction.operands[0], a.width < from || (a.width == from && from == .double) {
            // MOVSXD of 16 or 32 bits is a plain move of the low part.
            return intoRegister(instruction) { OperationCode.move(size: $0, form: $1 * 2) }
        }
        return intoRegister(instruction) { OperationCode.extend(signed: signed, from: from.index, to: $0, form: $1) }
    }

    private mutating func shift(_ kind: Int, _ instruction: Instruction) -> Bool {
        var immediate: Int64?
        if case .immediate(let value) = instruction.operands[1] { immediate = value }
        if case .register(let a) = instruction.operands[0], let immediate, a.width >= .double {
            return knownShift(kind, a, Int(immediate) & (a.width == .quad ? 63 : 31))
        }
        return inPlace(instruction, instruction.operands[0]) { size, form in
            OperationCode.shift(kind: kind, size: size, form: form * 2 + (immediate == nil ? 1 : 0))
        } _: {
            $0.immediate = immediate ?? 0
        }
    }

    /// A shift of 32 or 64 bits of a register by a count that is known.
    private mutating func knownShift(_ kind: Int, _ a: RegisterOperand, _ count: Int) -> Bool {
        let size = a.width.index
        guard count > 0 else {
            // The operand is written back: the upper half of a 32-bit one is cleared.
            emit(OperationCode.move(size: size, form: Form.rr)) {
                $0.destination = a.offset
                $0.source = a.offset
            }
            return true
        }
        // ROL, ROR, SHL, SHR and SAR; RCL and RCR have no such operation. 6 is SHL again.
        let known: Int? = [0: 0, 1: 1, 4: 2, 5: 3, 6: 2, 7: 4][kind]
        let code = known.map { OperationCode.shiftKnown(kind: $0, size: size - 2) }
        emit(code ?? OperationCode.shift(kind: kind, size: size, form: 0)) {
            $0.destination = a.offset
            $0.immediate = Int64(count)
        }
        return true
    }

    private mutating func doubleShift(_ right: Int, _ instruction: Instruction) -> Bool {
        guard case .register(let b) = instruction.operands[1] else { return false }
        var immediate: Int64?
        if case .immediate(let value) = instruction.operands[2] { immediate = value }
        return inPlace(instruction, instruction.operands[0]) { size, form in
            OperationCode.doubleShift(right: right, size: size, form: form, byCL: immediate == nil ? 1 : 0)
        } _: {
            $0.source = b.offset
            $0.immediate = immediate ?? 0
        }
    }

    private mutating func multiply(_ instruction: Instruction) -> Bool {
        switch instruction.operands.count {
        case 1:
            return fromValue(instruction, instruction.operands[0]) { OperationCode.multiplyWideSigned(size: $0) }
        case 2:
            return intoRegister(instruction) { OperationCode.multiply(size: $0, form: $1 * 2) }
        default:
            guard case .register(let a) = instruction.operands[0],
                case .immediate(let factor) = instruction.operands[2],
                let (source, width) = value(instruction, instruction.operands[1])
            else { return false }
            emit(OperationCode.multiply(size: width.index, form: 1)) {
                $0.destination = a.offset
                $0.source = source
                $0.immediate = factor
            }
            return true
        }
    }

    private mutating func bit(_ change: Int, _ instruction: Instruction) -> Bool {
        switch (instruction.operands[0], instruction.operands[1]) {
        case (.register(let a), .register(let b)):
            emit(OperationCode.bit(change: change, size: a.width.index, form: 0)) {
                $0.destination = a.offset
                $0.source = b.offset
            }
        case (.register(let a), .immediate(let value)):
            emit(OperationCode.bit(change: change, size: a.width.index, form: 1)) {
                $0.destination = a.offset
                $0.immediate = value
            }
        case (.memory, .immediate(let value)):
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.bit(change: change, size: instruction.memory.width.index, form: 2)) {
                reach.apply(&$0)
                $0.immediate = value
            }
        case (.memory, .register(let b)):
            let size = instruction.memory.width.index
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.bitAddress(size: size)) {
                reach.apply(&$0)
                $0.source = b.offset
                $0.destination = Self.temporary0
            }
            emit(OperationCode.bit(change: change, size: size, form: 3)) {
                $0.base = Self.temporary0
                $0.source = b.offset
            }
        default: return false
        }
        return true
    }
}
