// One row of the generated opcode table.

/// A form of an instruction.
struct OpcodeForm {
    /// A mandatory prefix.
    enum Prefix: UInt8 { case any, none, operandSize, f3, f2 }
    /// Where a form exists, and its operand size in 64-bit mode.
    enum Mode: UInt8 { case any, only64, not64, default64, always64 }

    private let offset: Int

    init(index: Int) { offset = index * 13 }

    private func field(_ number: Int) -> UInt8 { opcodeForms[offset + number] }

    var mnemonic: Mnemonic { Mnemonic(rawValue: UInt16(field(0)) | UInt16(field(1)) << 8) ?? .nop }
    var prefix: Prefix { Prefix(rawValue: field(2)) ?? .any }
    var mode: Mode { Mode(rawValue: field(3)) ?? .any }
    /// The line of Spec/x86-opcodes.txt.
    var line: Int { Int(field(11)) | Int(field(12)) << 8 }

    /// The form must look at ModRM to know that it is meant.
    var constrainsModRM: Bool {
        field(4) != 0xff || field(5) != 0 || field(6) != 0
            || (0..<4).contains { operand($0)?.isMemoryOnly == true || operand($0)?.isRegisterOnly == true }
    }

    func matches(_ modRM: UInt8) -> Bool {
        if field(6) != 0 { return modRM == field(6) }
        if field(4) != 0xff, modRM >> 3 & 7 != field(4) { return false }
        switch field(5) {
        case 1: if modRM >= 0xc0 { return false }
        case 2: if modRM < 0xc0 { return false }
        default: break
        }
        let isMemory = modRM < 0xc0
        for index in 0..<4 {
            guard let operand = operand(index) else { break }
            if operand.isMemoryOnly, !isMemory { return false }
            if operand.isRegisterOnly, isMemory { return false }
        }
        return true
    }

    func allows(_ code: CodeMode) -> Bool {
        switch mode {
        case .only64: code == .bits64
        case .not64: code != .bits64
        case .any, .default64, .always64: true
        }
    }

    func operand(_ index: Int) -> OperandCode? {
        guard let code = OperandCode(rawValue: field(7 + index)), code != .none else { return nil }
        return code
    }

    var needsModRM: Bool {
        if constrainsModRM { return true }
        for index in 0..<4 {
            guard let operand = operand(index) else { break }
            if operand.usesModRM { return true }
        }
        return false
    }
}

extension OperandCode {
    var isMemoryOnly: Bool {
        switch self {
        case .m, .mb, .mw, .md, .mv, .my, .mp, .mx, .mq: true
        default: false
        }
    }
    /// MOV to and from control and debug registers takes the register form whatever the mode bits say.
    var isRegisterOnly: Bool {
        switch self {
        case .rv, .ux, .nq: true
        default: false
        }
    }
    var usesModRM: Bool {
        switch self {
        case .eb, .ew, .ed, .ev, .ey, .lb, .gb, .gw, .gv, .gy, .ry, .rv, .sw, .cy, .dy, .vx, .ux, .wx, .wq, .wd, .ww,
            .pq,
            .nq, .qq, .qd, .sti:
            true
        default: isMemoryOnly
        }
    }
}
