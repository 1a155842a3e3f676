// Encodings of the forms of Spec/x86-opcodes.txt that a program at CPL 3 can execute in place, with random operands.

@testable import Processor

/// A form of the opcode table and where it is in the maps.
struct EncodedForm: CustomStringConvertible, Sendable {
    var index: Int
    var map: Int
    var opcode: UInt8
    var form: OpcodeForm { OpcodeForm(index: index) }
    var description: String { "\(form.mnemonic), line \(form.line)" }

    /// All forms, with the opcode of each.
    static let all: [EncodedForm] = (0..<7 * 256).flatMap { slot in
        (Int(firstForms[slot])..<Int(firstForms[slot + 1])).map {
            EncodedForm(index: $0, map: slot >> 8, opcode: UInt8(slot & 0xff))
        }
    }

    /// Instructions that leave the program, touch its stack, or are the system's.
    static let excluded: Set<Mnemonic> = [
        .push, .pop, .pusha, .popa, .pushf, .popf, .enter, .leave, .call, .ret, .jmp, .jcxz, .loop, .loope, .loopne,
        .jo,
        .jno, .jb, .jae, .je, .jne, .jbe, .ja, .js, .jns, .jp, .jnp, .jl, .jge, .jle, .jg, .jmpf, .callf, .retf, .iret,
        .int,
        .int1, .int3, .into, .in, .out, .ins, .insb, .outs, .outsb, .hlt, .cli, .sti, .movseg, .les, .lds, .lss, .lfs,
        .lgs,
        .lgdt, .lidt, .sgdt, .sidt, .lldt, .ltr, .sldt, .str, .smsw, .lmsw, .clts, .lar, .lsl, .verr, .verw, .invlpg,
        .movcr,
        .movdr, .rdmsr, .wrmsr, .rdtsc, .rdtscp, .rdpmc, .cpuid, .invd, .wbinvd, .syscall, .sysret, .sysenter, .sysexit,
        .swapgs, .monitor, .mwait, .monitorx, .mwaitx, .vmmcall, .vmgexit, .pvalidate, .rmpadjust, .rmpquery,
        .rmpupdate,
        .psmash, .invlpgb, .tlbsync, .xgetbv, .xsetbv, .clac, .stac, .rsm, .ud0, .ud1, .ud2, .rdrand, .rdseed,
        .xsaveopt, .xsaves, .xrstors, .ldmxcsr, .stmxcsr, .rdfsbase, .rdgsbase,
        .wrfsbase, .rdpid,
        .wrgsbase, .std, .rcpps, .rcpss, .rsqrtps, .rsqrtss, .clflush, .clflushopt, .clwb,
    ]

    /// Whether both processors can be asked.
    var isComparable: Bool {
        let form = form
        guard form.mode != .not64, !Self.excluded.contains(form.mnemonic) else { return false }
        // Absolute addresses of 64 bits are not in the data.
        for index in 0..<4 { if let code = form.operand(index), code == .ob || code == .ov { return false } }
        return true
    }

    /// Encodes the form with random operands.
    ///
    /// - Parameter memory: use a memory operand where the form takes either
    func encode(memory: Bool, width: Width, _ random: inout TestRandom) -> [UInt8]? {
        let form = form
        var bytes: [UInt8] = []
        switch form.prefix {
        case .f3: bytes.append(0xf3)
        case .f2: bytes.append(0xf2)
        case .operandSize: bytes.append(0x66)
        case .any, .none: if width == .word { bytes.append(0x66) }
        }
        if width == .word, form.prefix != .any { return nil }
        var rex: UInt8 = width == .quad ? 0x48 : 0
        if Bool.random(using: &random) { rex |= 0x40 }
        var modRM: UInt8?
        var tail: [UInt8] = []
        if form.needsModRM {
            guard let (byte, rest) = chooseModRM(memory, &rex, &random) else { return nil }
            modRM = byte
            tail = rest
        } else if memory {
            return nil
        } else if usesOpcodeRegister {
            // BSWAP and its kin must not name RSP.
            if opcode & 7 == 4 { rex |= 0x41 }
        }
        if map >= 4 {
            // VEX.vvvv names any register but RSP.
            var other = UInt8.random(in: 0...15, using: &random)
            if other == 4 { other = 5 }
            let prefix: UInt8 =
                switch form.prefix {
                case .operandSize: 1
                case .f3: 2
                case .f2: 3
                default: 0
                }
            bytes = [0xc4, (~rex & 7) << 5 | UInt8(map - 3), (rex & 8) << 4 | (~other & 15) << 3 | prefix]
        } else if rex != 0 {
            bytes.append(rex)
        }
        switch map {
        case 1: bytes.append(0x0f)
        case 2: bytes += [0x0f, 0x38]
        case 3: bytes += [0x0f, 0x3a]
        default: break
        }
        bytes.append(opcode)
        if let modRM { bytes.append(modRM) }
        bytes += tail
        for index in 0..<4 {
            guard let code = form.operand(index) else { break }
            let count: Int
            switch code {
            case .ib, .`is`: count = 1
            case .iw: count = 2
            case .iz: count = width == .word ? 2 : 4
            case .iv: count = width.byteCount
            default: count = 0
            }
            for _ in 0..<count { bytes.append(UInt8.random(in: .min ... .max, using: &random)) }
        }
        return bytes
    }

    private var usesOpcodeRegister: Bool {
        (0..<4).contains { form.operand($0) == .zb || form.operand($0) == .zv }
    }

    private func chooseModRM(_ memory: Bool, _ rex: inout UInt8, _ random: inout TestRandom) -> (UInt8, [UInt8])? {
        let isX87 = map == 0 && 0xd8...0xdf ~= opcode
        let first = UInt8.random(in: .min ... .max, using: &random)
        for step in 0...255 as ClosedRange<UInt8> {
            var byte = first &+ step
            var extra: UInt8 = 0
            if memory {
                // [RBX + disp8]: RBX is set to reach the data.
                byte = byte & 0x38 | 0x43
            } else {
                byte |= 0xc0
                extra = UInt8.random(in: 0...1, using: &random)
            }
            let high = UInt8.random(in: 0...1, using: &random) << 2
            let register = byte >> 3 & 7 | high << 1
            let other = byte & 7 | extra << 3
            guard form.matches(byte) else { continue }
            // RSP stays out of it, as a register or as SPL. Without REX number 4 of a byte is AH.
            if memory || !isX87, register == 4 || (!memory && other == 4) { continue }
            if high | extra != 0 { rex |= 0x40 | high | extra }
            let alignment: UInt8 = [.xsave, .xsavec, .xrstor].contains(form.mnemonic) ? 0xc0 : 0xf0
            return (byte, memory ? [UInt8.random(in: 0...0x40, using: &random) & alignment] : [])
        }
        return nil
    }
}
