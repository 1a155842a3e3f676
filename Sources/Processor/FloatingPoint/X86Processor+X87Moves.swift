// x87 loads, stores, constants and moves within the stack.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func x87Move(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .fld, .fild, .fbld: try x87Load(i)
        case .fst, .fstp, .fist, .fistp, .fisttp, .fbstp: try x87Store(i)
        case .fxch:
            let other = x87Register(i, 0)
            let isEmpty = isEmptyX87(0) || isEmptyX87(other)
            if isEmpty {
                guard x87StackFault() else { return }
            } else {
                x87Status &= ~X87Status.c1
            }
            let (a, b) = (
                isEmptyX87(0) ? .indefinite : x87Value(0), isEmptyX87(other) ? .indefinite : x87Value(other)
            )
            setX87Value(0, b)
            setX87Value(other, a)
        case .fcmovb: conditionalMove(i, core.flags & 1 != 0)
        case .fcmove: conditionalMove(i, core.flags & 0x40 != 0)
        case .fcmovbe: conditionalMove(i, core.flags & 0x41 != 0)
        case .fcmovu: conditionalMove(i, core.flags & 4 != 0)
        case .fcmovnb: conditionalMove(i, core.flags & 1 == 0)
        case .fcmovne: conditionalMove(i, core.flags & 0x40 == 0)
        case .fcmovnbe: conditionalMove(i, core.flags & 0x41 == 0)
        case .fcmovnu: conditionalMove(i, core.flags & 4 == 0)
        default: x87Constant(i)
        }
    }

    private func conditionalMove(_ i: Instruction, _ holds: Bool) {
        let source = x87Register(i, 1)
        if isEmptyX87(0) || isEmptyX87(source) {
            if x87StackFault() { setX87Value(0, .indefinite) }
            return
        }
        if holds { setX87Value(0, x87Value(source)) }
    }

    // MARK: Loads

    private func x87Load(_ i: Instruction) throws(Interruption) {
        var unit = x87Unit()
        var value: ExtendedFloat
        if !i.hasMemory {
            let source = x87Register(i, 0)
            if isEmptyX87(source) {
                // The empty register is noticed before a full stack.
                if x87StackFault() { pushX87(.indefinite) }
                return
            }
            value = x87Value(source)
        } else if i.mnemonic == .fild {
            let count = i.memory.width.byteCount
            value = FloatingPointArithmetic.integer(
                signed(try readValue(linear(of: i, .read, count: count), count), i.memory.width))
        } else if i.mnemonic == .fbld || i.opcode == 0xdb {
            value = Self.extended(try readLinear(linear(of: i, .read, count: 10), 10))
            if i.mnemonic == .fbld {
                value = FloatingPointArithmetic.decimal(low: value.significand, high: value.signAndExponent)
            }
        } else {
            let count = i.memory.width.byteCount
            let bits = try readValue(linear(of: i, .read, count: count), count)
            value = unit.widen(bits, from: count == 4 ? .single : .double)
            if value.kind == .signalingNaN {
                unit.raised.insert(.invalid)
                value = value.quieted
            }
        }
        guard isEmptyX87(7) else { return x87Push(value) }
        // A denormal operand is loaded even if #D is not masked.
        if note(unit) || !unit.raised.contains(.invalid) { pushX87(value) }
    }

    private func x87Constant(_ i: Instruction) {
        let constant: (exponent: Int, significand: UInt128)
        switch i.mnemonic {
        case .fld1: constant = (0, 1 << 127)
        case .fldpi: constant = FloatingPointConstants.pi
        case .fldl2t: constant = (1, 0xd49a_784b_cd1b_8afe_492b_f6ff_4daf_db4d)
        case .fldl2e: constant = FloatingPointConstants.log2e
        case .fldlg2: constant = (-2, 0x9a20_9a84_fbcf_f798_8f89_59ac_0b7c_9179)
        case .fldln2: constant = FloatingPointConstants.ln2
        default: constant = (0, 0)
        }
        var unit = x87Unit()
        let rounded = unit.round(
            Unrounded(isNegative: false, exponent: constant.exponent, significand: constant.significand), to: .extended)
        // A constant raises nothing, whichever way it is rounded.
        x87Status &= ~X87Status.c1
        x87Push(ExtendedFloat(isNegative: false, exponent: rounded.field, significand: rounded.significand))
    }

    // MARK: Stores

    private func x87Store(_ i: Instruction) throws(Interruption) {
        let pops = ![.fst, .fist].contains(i.mnemonic)
        if !i.hasMemory {
            let target = x87Register(i, 0)
            if isEmptyX87(0) {
                guard x87StackFault() else { return }
                setX87Value(target, .indefinite)
            } else {
                x87Status &= ~X87Status.c1
                setX87Value(target, x87Value(0))
            }
            if pops { popX87() }
            return
        }
        let isDecimal = i.mnemonic == .fbstp
        let isWide = i.opcode == 0xdb && i.mnemonic == .fstp
        let count = isDecimal || isWide ? 10 : i.memory.width.byteCount
        let address = try linear(of: i, .write, count: count)
        try checkWritable(address, count)
        let isEmpty = isEmptyX87(0)
        let value = isEmpty ? .indefinite : x87Value(0)
        var unit = x87Unit()
        var bytes: [UInt8]
        switch i.mnemonic {
        case .fbstp:
            let (low, high) = unit.decimal(value)
            bytes = Self.bytes(ExtendedFloat(significand: low, signAndExponent: high))
        case .fst, .fstp:
            if isWide {
                bytes = Self.bytes(value)
            } else {
                let bits = unit.narrow(value, to: count == 4 ? .single : .double)
                bytes = (0..<count).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
            }
        default:
            if i.mnemonic == .fisttp { unit.rounding = .towardZero }
            let bits = unit.integer(value, byteCount: count)
            bytes = (0..<count).map { UInt8(truncatingIfNeeded: bits >> UInt64(8 * $0)) }
        }
        if isEmpty {
            guard x87StackFault() else { return }
        } else {
            guard note(unit, isStore: true) else { return }
        }
        try writeLinear(address, bytes)
        if pops { popX87() }
    }
}
