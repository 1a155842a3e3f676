// A decoded instruction as text: prefixes, mnemonic, operands.

/// Writes one instruction in Intel's syntax, in the style of LLVM's disassembler.
struct IntelText {
    private let i: Instruction
    private let bytes: [UInt8]
    private let address: UInt64

    /// - Parameter bytes: the instruction's own
    init(_ instruction: Instruction, _ bytes: [UInt8], at address: UInt64) {
        i = instruction
        self.bytes = bytes
        self.address = address
    }

    /// The text.
    var text: String {
        let name = prefix + i.intelMnemonic(bytes)
        let operands = self.operands(name)
        return operands.isEmpty ? name : name + " " + operands.joined(separator: ", ")
    }

    private var isPause: Bool { i.mnemonic == .nop && i.opcode == 0x90 }

    private var prefix: String {
        var text = i.isLocked ? "lock " : ""
        // On other instructions the prefix does nothing.
        guard isString || i.mnemonic == .ret else { return text }
        switch i.repeatPrefix {
        case .none: break
        case .f3: text += "rep "
        case .f2: if isString { text += "repne " }
        }
        return text
    }

    private var isString: Bool {
        switch i.mnemonic {
        case .movs, .movsb, .cmps, .cmpsb, .stos, .stosb, .lods, .lodsb, .scas, .scasb, .ins, .insb, .outs, .outsb: true
        default: false
        }
    }

    // MARK: Operands

    private func operands(_ name: String) -> [String] {
        if isString { return stringOperands }
        if name.hasPrefix("endbr") || isPause { return [] }
        switch i.mnemonic {
        case .cmpps, .cmppd, .cmpss, .cmpsd2:
            if case .immediate(let number)? = i.operands.last, 0...7 ~= number {
                return i.operands.dropLast().map(operand)
            }
        case .pblendvb, .blendvps, .blendvpd, .sha256rnds2: return i.operands.map(operand) + ["xmm0"]
        case .xlat: return []
        default: break
        }
        return i.operands.map(operand)
    }

    private var stringOperands: [String] {
        let isByte = "\(i.mnemonic)".hasSuffix("b")
        // Ports have no quadwords.
        var width = isByte ? Width.byte : i.width
        switch i.mnemonic {
        case .ins, .outs: width = min(width, .double)
        default: break
        }
        let pointer = IntelNames.pointer(width.byteCount)
        let target = pointer + "es:[" + IntelNames.general(7, i.addressWidth) + "]"
        let source = pointer + override + "[" + IntelNames.general(6, i.addressWidth) + "]"
        let accumulator = IntelNames.general(0, width)
        switch i.mnemonic {
        case .movs, .movsb: return [target, source]
        case .cmps, .cmpsb: return [source, target]
        case .stos, .stosb: return [target, accumulator]
        case .lods, .lodsb: return [accumulator, source]
        case .scas, .scasb: return [accumulator, target]
        case .ins, .insb: return [target, "dx"]
        default: return ["dx", source]
        }
    }

    private func operand(_ operand: Operand) -> String {
        switch operand {
        case .register(let register):
            return IntelNames.general(register.number, shownWidth(register), isHigh: register.isHigh)
        case .memory: return memory
        case .immediate(let value): return Self.number(value)
        case .target(let distance): return Self.unsigned(branchTarget(distance))
        case .far(let selector, let offset):
            return Self.unsigned(UInt64(selector)) + ":" + Self.unsigned(UInt64(offset))
        case .segment(let segment): return "\(segment)"
        case .control(let number): return "cr\(number)"
        case .debug(let number): return "dr\(number)"
        case .vector(let number): return "xmm\(number)"
        case .mmx(let number): return "mm\(number & 7)"
        case .stack(let number): return number == 0 ? "st" : "st(\(number & 7))"
        }
    }

    /// Some instructions name a register of the operand size, of which they use less; some do not care for the size.
    private func shownWidth(_ register: RegisterOperand) -> Width {
        switch i.mnemonic {
        case .movseg, .sldt, .str, .smsw: i.width
        case .rdfsbase, .rdgsbase, .wrfsbase, .wrgsbase: i.width == .quad ? .quad : .double
        case .in,
            .out where register.number == 0:
            min(register.width, .double)
        case .pinsrw, .pextrw, .pmovmskb, .movmskps, .movmskpd: .double
        default: register.width
        }
    }

    private func branchTarget(_ distance: Int64) -> UInt64 {
        let target = address &+ UInt64(i.length) &+ UInt64(bitPattern: distance)
        switch i.mode {
        case .bits64: return target
        case .bits32: return target & 0xffff_ffff
        case .bits16: return target & (i.width == .word ? 0xffff : 0xffff_ffff)
        }
    }

    private var memory: String {
        let m = i.memory
        var parts: [String] = []
        if m.isRelative { parts.append(m.addressWidth == .double ? "eip" : "rip") }
        if let base = m.base { parts.append(IntelNames.general(base, m.addressWidth)) }
        if let index = m.index {
            let register = IntelNames.general(index, m.addressWidth)
            parts.append(m.scale == 1 ? register : "\(m.scale)*" + register)
        }
        var text = parts.joined(separator: " + ")
        if parts.isEmpty {
            text = Self.unsigned(cut(m.displacement, m.addressWidth))
        } else if m.displacement != 0 {
            text += (m.displacement < 0 ? " - " : " + ") + Self.unsigned(m.displacement.magnitude)
        }
        return pointer + override + "[" + text + "]"
    }

    /// The last segment prefix. In 64-bit mode those of ES, CS, SS and DS do nothing, and are shown all the same.
    private var override: String {
        for byte in bytes.prefix(while: { Self.isPrefix($0) }).reversed() {
            switch byte {
            case 0x26: return "es:"
            case 0x2e: return "cs:"
            case 0x36: return "ss:"
            case 0x3e: return "ds:"
            case 0x64: return "fs:"
            case 0x65: return "gs:"
            default: continue
            }
        }
        return ""
    }

    private static func isPrefix(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x26, 0x2e, 0x36, 0x3e, 0x64...0x67, 0xf0, 0xf2, 0xf3: true
        default: false
        }
    }

    private func cut(_ value: Int64, _ width: Width) -> UInt64 {
        switch width {
        case .byte, .word: UInt64(bitPattern: value) & 0xffff
        case .double: UInt64(bitPattern: value) & 0xffff_ffff
        case .quad, .octo: UInt64(bitPattern: value)
        }
    }

    /// How much an instruction accesses, where it says.
    private var pointer: String {
        switch i.mnemonic {
        case .lea, .sgdt, .sidt, .lgdt, .lidt, .fldenv, .fnstenv, .frstor, .fnsave, .fxsave, .fxrstor, .xsave, .xrstor,
            .xsaveopt, .xsavec, .xsaves,
            .xrstors:
            return ""
        case .invlpg: return IntelNames.pointer(1)
        case .callf, .jmpf, .les, .lds, .lss, .lfs, .lgs:
            return IntelNames.pointer(i.width == .word ? 4 : i.width == .quad ? 10 : 6)
        case .cmpxchg8b: return IntelNames.pointer(i.intelMnemonic(bytes) == "cmpxchg16b" ? 16 : 8)
        // A segment register is a word in memory.
        case .movseg: return IntelNames.pointer(2)
        // Eighty bits, real or decimal: DB and DF. The other forms say their width.
        case .fld where escape == 0xdb, .fstp where escape == 0xdb: return IntelNames.pointer(10)
        case .fbld, .fbstp: return IntelNames.pointer(10)
        case .nop where opcodeIsPrefetch: return IntelNames.pointer(1)
        default: return IntelNames.pointer(i.memory.width.byteCount)
        }
    }

    /// The opcode byte of an x87 instruction. No prefix is among these.
    private var escape: UInt8? { bytes.first { 0xd8...0xdf ~= $0 } }

    private var opcodeIsPrefetch: Bool { i.intelMnemonic(bytes).hasPrefix("prefetch") }

    // MARK: Numbers

    private static func number(_ value: Int64) -> String {
        value < 0 ? "-" + unsigned(value.magnitude) : unsigned(UInt64(value))
    }

    private static func unsigned(_ value: UInt64) -> String {
        value < 10 ? String(value) : "0x" + String(value, radix: 16)
    }
}
