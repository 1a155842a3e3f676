// The names of Intel's syntax: registers, widths, and mnemonics that depend on more than the form.

/// Names of registers.
enum IntelNames {
    private static let quads = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]
    private static let lowBytes = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"]
    private static let highBytes = ["ah", "ch", "dh", "bh"]

    /// A general register by number and width.
    static func general(_ number: UInt8, _ width: Width, isHigh: Bool = false) -> String {
        let number = Int(number & 15)
        switch width {
        case .byte:
            if isHigh { return highBytes[number & 3] }
            return number < 8 ? lowBytes[number] : quads[number] + "b"
        case .word: return number < 8 ? String(quads[number].dropFirst()) : quads[number] + "w"
        case .double: return number < 8 ? "e" + quads[number].dropFirst() : quads[number] + "d"
        case .quad, .octo: return quads[number]
        }
    }

    /// What stands before a memory operand.
    static func pointer(_ byteCount: Int) -> String {
        switch byteCount {
        case 1: "byte ptr "
        case 2: "word ptr "
        case 4: "dword ptr "
        case 6: "fword ptr "
        case 8: "qword ptr "
        case 10: "tbyte ptr "
        case 16: "xmmword ptr "
        default: ""
        }
    }

    /// The conditions of CMPPS and its kin, by immediate.
    static let comparisons = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"]
}

extension Instruction {
    /// The mnemonic in Intel's syntax.
    func intelMnemonic(_ bytes: [UInt8]) -> String {
        switch mnemonic {
        case .movseg, .movcr, .movdr: return "mov"
        case .movsd2: return "movsd"
        case .callf: return operands.first == .memory ? "call" : "lcall"
        case .jmpf: return operands.first == .memory ? "jmp" : "ljmp"
        case .cbw: return [.word: "cbw", .double: "cwde"][width] ?? "cdqe"
        case .cwd: return [.word: "cwd", .double: "cdq"][width] ?? "cqo"
        case .pushf, .popf, .iret, .pusha, .popa: return "\(mnemonic)" + modeSuffix
        case .retf: return width == .quad ? "retfq" : "retf"
        case .sysret, .sysexit: return "\(mnemonic)" + (width == .quad ? "q" : "")
        case .jcxz: return [.word: "jcxz", .double: "jecxz"][addressWidth] ?? "jrcxz"
        case .xlat: return "xlatb"
        case .fwait: return "wait"
        // Ports have no quadwords.
        case .ins, .outs: return "\(mnemonic)" + wordOrDouble
        case .movs, .cmps, .stos, .lods, .scas:
            return "\(mnemonic)" + (width == .quad ? "q" : wordOrDouble)
        case .movd: return isWide(bytes) ? "movq" : "movd"
        case .pextrd: return isWide(bytes) ? "pextrq" : "pextrd"
        case .pinsrd: return isWide(bytes) ? "pinsrq" : "pinsrd"
        case .cmpxchg8b: return isWide(bytes) ? "cmpxchg16b" : "cmpxchg8b"
        case .fxsave, .fxrstor, .xsave, .xrstor, .xsaveopt, .xsavec, .xsaves, .xrstors:
            return "\(mnemonic)" + (isWide(bytes) ? "64" : "")
        case .nop: return hint(bytes)
        case .cmpps, .cmppd, .cmpss, .cmpsd2:
            guard case .immediate(let number)? = operands.last, 0...7 ~= number else { break }
            return "cmp" + IntelNames.comparisons[Int(number)] + "\(mnemonic)".dropFirst(3).prefix(2)
        default: break
        }
        let name = "\(mnemonic)"
        // The forms of shifts by an immediate have names of their own in the table.
        if name.hasPrefix("ps"), name.hasSuffix("i") { return String(name.dropLast()) }
        return name.hasSuffix("sd2") ? String(name.dropLast()) : name
    }

    /// Which of the operand sizes a name ends in where each has its own; the mode's own size has no letter.
    private var modeSuffix: String {
        switch (mode, width) {
        case (_, .quad): "q"
        case (.bits16, .word): ""
        case (.bits16, _): "d"
        case (.bits32, .word): ""
        case (.bits32, _): "d"
        case (.bits64, .word): ""
        case (.bits64, _): mnemonic == .iret ? "d" : "q"
        }
    }

    private var wordOrDouble: String { width == .word ? "w" : "d" }

    /// REX.W stands right before the opcode.
    private func isWide(_ bytes: [UInt8]) -> Bool {
        guard mode == .bits64 else { return false }
        let prefixes: Set<UInt8> = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]
        guard let first = bytes.first(where: { !prefixes.contains($0) }) else { return false }
        return first & 0xf8 == 0x48
    }

    /// Hints that do nothing here are one mnemonic to the decoder.
    private func hint(_ bytes: [UInt8]) -> String {
        if opcode == 0x90 { return repeatPrefix == .f3 ? "pause" : "nop" }
        guard let escape = bytes.firstIndex(of: 0x0f), escape + 2 < bytes.count else { return "nop" }
        let field = Int(bytes[escape + 2] >> 3 & 7)
        let isMemory = bytes[escape + 2] < 0xc0
        switch opcode {
        case 0x18 where isMemory && field < 4: return ["prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2"][field]
        case 0x0d where isMemory: return field == 1 ? "prefetchw" : field == 2 ? "prefetchwt1" : "prefetch"
        case 0x1e where bytes[escape + 2] == 0xfa && bytes.contains(0xf3): return "endbr64"
        case 0x1e where bytes[escape + 2] == 0xfb && bytes.contains(0xf3): return "endbr32"
        default: return "nop"
        }
    }
}
