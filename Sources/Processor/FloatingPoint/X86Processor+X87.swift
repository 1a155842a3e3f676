// x87 instructions: what may run, stack faults, exceptions, and the arithmetic by groups.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    /// Executes an x87 instruction.
    ///
    /// - Spec: APM1 6; APM5 x87 instructions
    /// - Deviates: with CR0.NE clear an exception that is not masked goes nowhere: there is no FERR#. Code and data selectors
    ///   are not kept. Control instructions keep the last opcode and pointers, every other instruction sets them
    func executeX87(_ i: Instruction) throws(Interruption) {
        guard state.registers.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 else {
            throw .exception(.deviceNotAvailable)
        }
        switch i.mnemonic {
        case .fnstcw, .fnstsw, .fnstenv, .fnsave, .fninit, .fnclex: return try executeX87Control(i)
        default: break
        }
        try requireNoX87Exception()
        switch i.mnemonic {
        case .fldcw, .fldenv, .frstor: return try executeX87Control(i)
        default: break
        }
        let old = (x87Opcode, core[CoreLayout.x87Instruction], core[CoreLayout.x87Data])
        x87Opcode = UInt16(i.opcode & 7) << 8 | UInt16(i.modRM)
        core[CoreLayout.x87Instruction] = state.registers.rip &- UInt64(i.length)
        do throws(Interruption) {
            if i.hasMemory { core[CoreLayout.x87Data] = try linear(of: i, .read, count: 1) }
            try executeX87Group(i)
        } catch {
            (x87Opcode, core[CoreLayout.x87Instruction], core[CoreLayout.x87Data]) = old
            throw error
        }
    }

    /// #MF if an exception is pending.
    func requireNoX87Exception() throws(Interruption) {
        let numericError: UInt64 = 1 << 5
        if x87Status & 0x80 != 0, state.registers.cr0 & numericError != 0 {
            throw .exception(GuestException(vector: 16))
        }
    }

    private func executeX87Control(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .fnstcw: try writeValue(linear(of: i, .write), UInt64(x87Control), 2)
        case .fnstsw:
            if i.hasMemory {
                try writeValue(linear(of: i, .write), UInt64(x87Status), 2)
            } else {
                core[RegisterOperand(number: 0, width: .word)] = UInt64(x87Status)
            }
        case .fldcw:
            x87Control = UInt16(try readValue(linear(of: i, .read), 2))
            summariseX87()
        case .fnstenv, .fnsave: try storeX87Environment(i, withRegisters: i.mnemonic == .fnsave)
        case .fldenv, .frstor: try loadX87Environment(i, withRegisters: i.mnemonic == .frstor)
        case .fninit: initialiseX87()
        default: x87Status &= 0x7f00
        }
    }

    private func executeX87Group(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .fadd, .fmul, .fsub, .fsubr, .fdiv, .fdivr, .faddp, .fmulp, .fsubp, .fsubrp, .fdivp, .fdivrp, .fiadd,
            .fimul,
            .fisub, .fisubr, .fidiv, .fidivr:
            try x87Arithmetic(i)
        case .fcom, .fcomp, .fcompp, .fucom, .fucomp, .fucompp, .ficom, .ficomp, .ftst, .fcomi, .fcomip, .fucomi,
            .fucomip:
            try x87Compare(i)
        case .fld, .fild, .fbld, .fst, .fstp, .fist, .fistp, .fisttp, .fbstp, .fld1, .fldl2t, .fldl2e, .fldpi, .fldlg2,
            .fldln2, .fldz, .fxch, .fcmovb, .fcmove, .fcmovbe, .fcmovu, .fcmovnb, .fcmovne, .fcmovnbe, .fcmovnu:
            try x87Move(i)
        case .ffree, .ffreep:
            freeX87(x87Register(i, 0))
            x87Status &= ~X87Status.c1
            if i.mnemonic == .ffreep { popX87() }
        case .fincstp, .fdecstp:
            x87Top += i.mnemonic == .fincstp ? 1 : 7
            x87Status &= ~X87Status.c1
        case .fnop: break
        case .fxam: examineX87()
        default: x87Function(i)
        }
    }

    // MARK: Exceptions

    /// The index of a stack operand.
    func x87Register(_ i: Instruction, _ index: Int) -> Int {
        if i.operands.count > index, case .stack(let number) = i.operands[index] { return Int(number) }
        return 0
    }

    /// An operation under the control word.
    func x87Unit() -> FloatingPointArithmetic { FloatingPointArithmetic(control: x87Control) }

    /// Brings what an operation raised into the status word. False if it is to have no result.
    @discardableResult
    func note(_ unit: FloatingPointArithmetic, isStore: Bool = false) -> Bool {
        var raised = unit.raised
        let unmasked = raised.subtracting(unit.masked).subtracting(.stackFault)
        let isStopped = !unmasked.isDisjoint(with: [.invalid, .denormal, .zeroDivide])
        if isStopped {
            // What comes after the operands have been looked at does not happen.
            raised.formIntersection([.invalid, .denormal, .zeroDivide, .stackFault])
            if !unmasked.isDisjoint(with: [.invalid, .denormal]) { raised.remove(.zeroDivide) }
        }
        let isKept = isStore && !unmasked.isDisjoint(with: [.overflow, .underflow])
        if isKept { raised.remove(.precision) }
        var status = x87Status & ~X87Status.c1 | raised.rawValue
        if unit.roundedUp, !isStopped, !isKept { status |= X87Status.c1 }
        x87Status = status
        summariseX87()
        return !isStopped && !isKept
    }

    /// A register is empty that should not be, or the other way round. True if the result is the indefinite number.
    func x87StackFault(overflow: Bool = false) -> Bool {
        var unit = x87Unit()
        unit.raised = [.invalid, .stackFault]
        let goesOn = note(unit)
        if overflow { x87Status |= X87Status.c1 }
        return goesOn
    }

    /// Pushes, unless the stack is full.
    func x87Push(_ value: ExtendedFloat) {
        guard isEmptyX87(7) else {
            if x87StackFault(overflow: true) { pushX87(.indefinite) }
            return
        }
        pushX87(value)
    }

    // MARK: Arithmetic

    /// An operand in memory, converted; whether it is a denormal number.
    private func x87Memory(_ i: Instruction, isInteger: Bool) throws(Interruption) -> (ExtendedFloat, isDenormal: Bool)
    {
        let count = i.memory.width.byteCount
        let bits = try readValue(linear(of: i, .read, count: count), count)
        if isInteger { return (FloatingPointArithmetic.integer(signed(bits, i.memory.width)), false) }
        var unit = x87Unit()
        let value = unit.widen(bits, from: count == 4 ? .single : .double)
        return (value, unit.raised.contains(.denormal))
    }

    /// A denormal operand in memory has become a normal one; it still raises #D, unless a NaN is what counts.
    private func noteDenormal(_ isDenormal: Bool, _ other: ExtendedFloat, _ unit: inout FloatingPointArithmetic) {
        if isDenormal, !other.isNaN, other.kind != .unsupported, !unit.raised.contains(.zeroDivide) {
            unit.raised.insert(.denormal)
        }
    }

    private func x87Arithmetic(_ i: Instruction) throws(Interruption) {
        let name = i.mnemonic
        let isInteger = [.fiadd, .fimul, .fisub, .fisubr, .fidiv, .fidivr].contains(name)
        let pops = [.faddp, .fmulp, .fsubp, .fsubrp, .fdivp, .fdivrp].contains(name)
        var target = 0
        var other = (value: ExtendedFloat.zero(), isDenormal: false)
        var isEmpty = isEmptyX87(0)
        if i.hasMemory {
            other = try x87Memory(i, isInteger: isInteger)
        } else {
            target = x87Register(i, 0)
            let source = x87Register(i, 1)
            isEmpty = isEmptyX87(target) || isEmptyX87(source)
            other.value = x87Value(source)
        }
        if isEmpty {
            guard x87StackFault() else { return }
            setX87Value(target, .indefinite)
            if pops { popX87() }
            return
        }
        var unit = x87Unit()
        let a = x87Value(target)
        let b = other.value
        let result: ExtendedFloat
        switch name {
        case .fadd, .faddp, .fiadd: result = unit.add(a, b)
        case .fmul, .fmulp, .fimul: result = unit.multiply(a, b)
        case .fsub, .fsubp, .fisub: result = unit.subtract(a, b)
        case .fsubr, .fsubrp, .fisubr: result = unit.subtract(b, a)
        case .fdiv, .fdivp, .fidiv: result = unit.divide(a, b)
        default: result = unit.divide(b, a)
        }
        noteDenormal(other.isDenormal, a, &unit)
        guard note(unit) else { return }
        setX87Value(target, result)
        if pops { popX87() }
    }

    // MARK: Comparison

    private func x87Compare(_ i: Instruction) throws(Interruption) {
        let name = i.mnemonic
        let isQuiet = [.fucom, .fucomp, .fucompp, .fucomi, .fucomip].contains(name)
        let setsFlags = [.fcomi, .fcomip, .fucomi, .fucomip].contains(name)
        let pops =
            [.fcompp, .fucompp].contains(name)
            ? 2 : [.fcomp, .fucomp, .ficomp, .fcomip, .fucomip].contains(name) ? 1 : 0
        var other = (value: ExtendedFloat.zero(), isDenormal: false)
        var isEmpty = isEmptyX87(0)
        if i.hasMemory {
            other = try x87Memory(i, isInteger: name == .ficom || name == .ficomp)
        } else if name != .ftst {
            let source = pops == 2 ? 1 : x87Register(i, setsFlags ? 1 : 0)
            isEmpty = isEmpty || isEmptyX87(source)
            other.value = x87Value(source)
        }
        var unit = x87Unit()
        var order = FloatingPointArithmetic.Order.unordered
        var goesOn: Bool
        let c1 = x87Status & X87Status.c1
        if isEmpty {
            goesOn = x87StackFault()
        } else {
            order = unit.compare(x87Value(0), other.value, isSignaling: !isQuiet)
            noteDenormal(other.isDenormal, x87Value(0), &unit)
            goesOn = note(unit)
        }
        let (c3, c2, c0): (Bool, Bool, Bool) =
            switch order {
            case .greater: (false, false, false)
            case .less: (false, false, true)
            case .equal: (true, false, false)
            case .unordered: (true, true, true)
            }
        if setsFlags {
            core.flags = (c0 ? 1 : 0) | (c2 ? 4 : 0) | (c3 ? 0x40 : 0)
            if !isEmpty { x87Status |= c1 }
        } else {
            setX87Conditions(c0: c0, c2: c2, c3: c3)
        }
        // The result is there even if an exception is not masked; the operands stay then.
        guard goesOn else { return }
        for _ in 0..<pops { popX87() }
    }

    func setX87Conditions(c0: Bool, c2: Bool, c3: Bool) {
        x87Status =
            x87Status & ~(X87Status.c0 | X87Status.c2 | X87Status.c3) | (c0 ? X87Status.c0 : 0)
            | (c2 ? X87Status.c2 : 0)
            | (c3 ? X87Status.c3 : 0)
    }

    private func examineX87() {
        let value = x87Value(0)
        x87Status = x87Status & ~X87Status.c1 | (value.isNegative ? X87Status.c1 : 0)
        guard !isEmptyX87(0) else { return setX87Conditions(c0: true, c2: false, c3: true) }
        switch value.kind {
        case .unsupported: setX87Conditions(c0: false, c2: false, c3: false)
        case .quietNaN, .signalingNaN: setX87Conditions(c0: true, c2: false, c3: false)
        case .normal: setX87Conditions(c0: false, c2: true, c3: false)
        case .infinity: setX87Conditions(c0: true, c2: true, c3: false)
        case .zero: setX87Conditions(c0: false, c2: false, c3: true)
        case .denormal: setX87Conditions(c0: false, c2: true, c3: true)
        }
    }
}
