// String instructions outside 64-bit mode, or with addresses of other sizes: one element, or one look at the count, at a time.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    /// Repeats at most this often before RIP is taken back, so that interrupts are seen.
    private static let burst = 4096

    func executeString(_ i: Instruction) throws(Interruption) {
        let width: Width
        switch i.mnemonic {
        case .movsb, .stosb, .lodsb, .cmpsb, .scasb: width = .byte
        default: width = i.width
        }
        let counter = RegisterOperand(number: 1, width: i.addressWidth)
        guard i.repeatPrefix != .none else { return try element(i, width) }
        for _ in 0..<Self.burst {
            guard core[counter] != 0 else { return }
            try element(i, width)
            core[counter] &-= 1
            switch i.mnemonic {
            case .cmpsb, .cmps, .scasb, .scas:
                if core.flags & 0x40 != 0, i.repeatPrefix == .f2 { return }
                if core.flags & 0x40 == 0, i.repeatPrefix == .f3 { return }
            default: break
            }
        }
        state.registers.rip = state.registers.rip &- UInt64(i.length)
        forgetContinuation()
        repeatsInstruction = true
    }

    private func element(_ i: Instruction, _ width: Width) throws(Interruption) {
        let count = width.byteCount
        let source = RegisterOperand(number: 6, width: i.addressWidth)
        let destination = RegisterOperand(number: 7, width: i.addressWidth)
        let step = UInt64(bitPattern: Int64(count) * (flagsRegister & RFLAGS.direction != 0 ? -1 : 1))
        let from = i.segmentOverride ?? .ds
        let accumulator = RegisterOperand(number: 0, width: width)
        switch i.mnemonic {
        case .movsb, .movs:
            let value = try readValue(linear(from, core[source], count, .read), count)
            try writeValue(linear(.es, core[destination], count, .write), value, count)
            core[source] &+= step
            core[destination] &+= step
        case .stosb, .stos:
            try writeValue(linear(.es, core[destination], count, .write), core[accumulator], count)
            core[destination] &+= step
        case .lodsb, .lods:
            core[accumulator] = try readValue(linear(from, core[source], count, .read), count)
            core[source] &+= step
        case .cmpsb, .cmps:
            let a = try readValue(linear(from, core[source], count, .read), count)
            let b = try readValue(linear(.es, core[destination], count, .read), count)
            core.compare(a, b, width)
            core[source] &+= step
            core[destination] &+= step
        default:
            let b = try readValue(linear(.es, core[destination], count, .read), count)
            core.compare(core[accumulator], b, width)
            core[destination] &+= step
        }
    }
}
