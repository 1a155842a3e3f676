// The stack and near branches outside 64-bit mode, and what of them the core has no operation for.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func executeStack(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .push:
            try push(read(0, of: i), i.width)
        case .pop:
            let before = core.general(4)
            let value = try pop(i.width)
            do throws(Interruption) {
                if case .segment(let segment) = i.operands[0] {
                    try loadSegment(segment, UInt16(truncatingIfNeeded: value))
                    if segment == .ss { shadowNextInstruction() }
                } else {
                    // A memory operand's address is computed with the stack pointer after the pop.
                    try write(0, of: i, value)
                }
            } catch {
                core.setGeneral(4, before)
                throw error
            }
        case .pusha:
            let before = core.general(4)
            do throws(Interruption) {
                for number in 0..<8 { try push(number == 4 ? before : core.general(number), i.width) }
            } catch {
                core.setGeneral(4, before)
                throw error
            }
        case .popa:
            let before = core.general(4)
            var values: [(Int, UInt64)] = []
            do throws(Interruption) {
                for number in (0..<8).reversed() { values.append((number, try pop(i.width))) }
            } catch {
                core.setGeneral(4, before)
                throw error
            }
            for (number, value) in values where number != 4 {
                core[RegisterOperand(number: UInt8(number), width: i.width)] = value
            }
        case .pushf:
            try push(flagsRegister & ~(RFLAGS.virtual8086 | RFLAGS.resume), i.width)
        case .popf:
            let value = try pop(i.width)
            setFlagsFromStack(value, i.width)
        case .enter: try enterFrame(i)
        case .leave:
            let before = core.general(4)
            setStackPointer(core.general(5))
            do throws(Interruption) {
                core[RegisterOperand(number: 5, width: i.width)] = try pop(i.width)
            } catch {
                core.setGeneral(4, before)
                throw error
            }
        default: throw undefined(i)
        }
    }

    /// POPF and IRET: what may change depends on CPL and IOPL.
    func setFlagsFromStack(_ value: UInt64, _ width: Width) {
        var changeable = RFLAGS.writable
        if width == .word { changeable &= 0xffff }
        if cpl > 0, isProtected {
            changeable &= ~RFLAGS.ioPrivilege
            let ioPrivilege = state.registers.rflags >> 12 & 3
            if UInt64(cpl) > ioPrivilege { changeable &= ~RFLAGS.interrupt }
        }
        let old = flagsRegister
        setFlagsRegister(old & ~changeable | value & changeable)
        translationsMayHaveChanged()
    }

    private func enterFrame(_ i: Instruction) throws(Interruption) {
        let size = try read(0, of: i)
        let level = Int(try read(1, of: i) & 31)
        let before = core.general(4)
        let width = i.width
        do throws(Interruption) {
            try push(core.general(5), width)
            let frame = core.general(4)
            var base = core.general(5)
            if level > 0 {
                for _ in 1..<max(1, level) {
                    base &-= UInt64(width.byteCount)
                    try push(readValue(linear(.ss, base & stackMask, width.byteCount, .read), width.byteCount), width)
                }
                try push(frame, width)
            }
            setStackPointer(core.general(4) &- size)
            try checkWritable(linear(.ss, core.general(4) & stackMask, 1, .write), 1)
            core[RegisterOperand(number: 5, width: width)] = frame
        } catch {
            core.setGeneral(4, before)
            throw error
        }
    }

    // MARK: Near branches

    func executeBranch(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .jmp: try branch(to: target(i), i)
        case .call:
            let to = try target(i)
            try checkTarget(to, i)
            try push(state.registers.rip, branchWidth(i))
            try branch(to: to, i)
        case .ret:
            let before = core.general(4)
            let to = try pop(branchWidth(i))
            do throws(Interruption) { try branch(to: to, i) } catch {
                core.setGeneral(4, before)
                throw error
            }
            if let released = i.operands.first, case .immediate(let count) = released {
                setStackPointer(core.general(4) &+ UInt64(bitPattern: count))
            }
        case .jcxz:
            if core[RegisterOperand(number: 1, width: i.addressWidth)] == 0 { try branch(to: target(i), i) }
        case .loop, .loope, .loopne:
            let counter = RegisterOperand(number: 1, width: i.addressWidth)
            let mask: UInt64 = i.addressWidth == .quad ? ~0 : (1 << UInt64(8 * i.addressWidth.byteCount)) - 1
            let left = (core[counter] &- 1) & mask
            let isZero = core.flags & 0x40 != 0
            let goesOn = left != 0 && (i.mnemonic == .loop || isZero == (i.mnemonic == .loope))
            if goesOn { try checkTarget(target(i), i) }
            core[counter] = left
            if goesOn { try branch(to: target(i), i) }
        default:
            if core.holds(i.condition) { try branch(to: target(i), i) }
        }
    }

    private func branchWidth(_ i: Instruction) -> Width { codeMode == .bits64 ? .quad : i.width }

    private func target(_ i: Instruction) throws(Interruption) -> UInt64 {
        if case .target(let offset) = i.operands[0] { return state.registers.rip &+ UInt64(bitPattern: offset) }
        return try read(0, of: i)
    }

    private func cut(_ target: UInt64, _ i: Instruction) -> UInt64 {
        switch branchWidth(i) {
        case .quad: target
        case .double: target & 0xffff_ffff
        default: target & 0xffff
        }
    }

    private func checkTarget(_ target: UInt64, _ i: Instruction) throws(Interruption) {
        let to = cut(target, i)
        if codeMode == .bits64 {
            guard Self.isCanonical(to) else { throw .exception(.protection()) }
        } else {
            guard to <= UInt64(state.registers.cs.limit) else { throw .exception(.protection()) }
        }
    }

    private func branch(to target: UInt64, _ i: Instruction) throws(Interruption) {
        try checkTarget(target, i)
        state.registers.rip = cut(target, i)
    }
}
