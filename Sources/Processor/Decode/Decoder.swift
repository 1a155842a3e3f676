// Decoding: prefixes, opcode, ModRM and SIB, displacement, immediates. The opcode map is Spec/x86-opcodes.txt.
//
// Of VEX encodings those of 128 bits with general registers only. Left out: the others, XOP and EVEX; they are #UD, and CPUID
// offers nothing that has them.

/// Reads one instruction from bytes.
struct Decoder {
    private let bytes: [UInt8]
    private let mode: CodeMode
    private var position = 0
    private var operandPrefix = false
    private var addressPrefix = false
    private var rex: UInt8 = 0
    private var modRM: UInt8?
    private var sib: UInt8 = 0
    private var displacement: Int64 = 0
    /// The register that a VEX prefix names.
    private var vexRegister: UInt8 = 0
    private var result: Instruction

    private enum Failure: Error { case incomplete, undefined, tooLong }

    private init(_ bytes: [UInt8], _ mode: CodeMode) {
        self.bytes = bytes
        self.mode = mode
        result = Instruction(mnemonic: .nop, opcode: 0, mode: mode)
    }

    /// Decodes the instruction that the bytes begin with.
    ///
    /// - Parameter bytes: up to 15 bytes; fewer if the page after them is not known yet
    static func decode(_ bytes: [UInt8], mode: CodeMode) -> Decoded {
        var decoder = Decoder(bytes, mode)
        do throws(Failure) {
            try decoder.run()
            return .instruction(decoder.result)
        } catch {
            switch error {
            case .incomplete: return bytes.count >= 15 ? .tooLong : .incomplete
            case .undefined: return .undefined
            case .tooLong: return .tooLong
            }
        }
    }

    private mutating func byte() throws(Failure) -> UInt8 {
        guard position < 15 else { throw .tooLong }
        guard position < bytes.count else { throw .incomplete }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func little(_ count: Int) throws(Failure) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(try byte()) << UInt64(8 * index) }
        return value
    }

    private mutating func signed(_ count: Int) throws(Failure) -> Int64 {
        let value = try little(count)
        let unused = UInt64(64 - 8 * count)
        return Int64(bitPattern: value << unused) >> Int64(unused)
    }

    // MARK: The parts in order

    private mutating func run() throws(Failure) {
        var opcode = try prefixes()
        var map = 0
        if let vexMap = try vexPrefix(opcode) {
            map = vexMap
            opcode = try byte()
        } else if opcode == 0x0f {
            opcode = try byte()
            map = 1
            if opcode == 0x38 || opcode == 0x3a {
                map = opcode == 0x38 ? 2 : 3
                opcode = try byte()
            }
        }
        result.opcode = opcode
        let form = try find(map, opcode)
        result.form = form.line
        result.mnemonic = form.mnemonic
        try setWidths(form)
        if form.needsModRM, modRM == nil { modRM = try byte() }
        // MOV to and from control and debug registers takes a register whatever the mode bits say.
        if map == 1, 0x20...0x23 ~= opcode, let byte = modRM { modRM = byte | 0xc0 }
        if let modRM, modRM < 0xc0 { try readAddress(modRM) }
        result.modRM = modRM ?? 0
        for index in 0..<OperandList.capacity {
            guard let code = form.operand(index) else { break }
            result.operands.append(try operand(code))
        }
        if result.memory.isRelative { result.memory.displacement = displacement }
        result.length = position
        result.endsBlock = !result.goesOnInBlock
        try checkLock()
    }

    private mutating func prefixes() throws(Failure) -> UInt8 {
        while true {
            let byte = try byte()
            switch byte {
            case 0x66: operandPrefix = true
            case 0x67: addressPrefix = true
            case 0xf0: result.isLocked = true
            case 0xf2: result.repeatPrefix = .f2
            case 0xf3: result.repeatPrefix = .f3
            case 0x26: setSegment(.es)
            case 0x2e: setSegment(.cs)
            case 0x36: setSegment(.ss)
            case 0x3e: setSegment(.ds)
            case 0x64: result.segmentOverride = .fs
            case 0x65: result.segmentOverride = .gs
            case 0x40...0x4f where mode == .bits64:
                // A REX prefix counts only right before the opcode.
                rex = byte
                let following = try self.byte()
                if Self.isPrefix(following) {
                    rex = 0
                    position -= 1
                    continue
                }
                if following & 0xf0 == 0x40 {
                    position -= 1
                    continue
                }
                return following
            default: return byte
            }
        }
    }

    /// Reads the rest of a VEX prefix and returns the map that it names; nil if the byte begins none.
    ///
    /// - Spec: APM3 1.2.7
    /// - Deviates: in 16-bit code C4 and C5 are LES and LDS always
    private mutating func vexPrefix(_ first: UInt8) throws(Failure) -> Int? {
        guard first == 0xc4 || first == 0xc5, mode != .bits16 else { return nil }
        let second = try byte()
        guard mode == .bits64 || second >= 0xc0 else {
            // LES or LDS: the byte is ModRM.
            modRM = second
            return nil
        }
        guard rex == 0, !operandPrefix, result.repeatPrefix == .none, !result.isLocked else { throw .undefined }
        var last = second
        var map = 1
        if first == 0xc4 {
            last = try byte()
            map = Int(second & 0x1f)
            if mode == .bits64 { rex = (~second >> 5) & 7 | last >> 4 & 8 }
        } else if mode == .bits64 {
            rex = (~second >> 5) & 4
        }
        // Nothing of 256 bits, and no other maps.
        guard last & 4 == 0, 1...3 ~= map else { throw .undefined }
        vexRegister = (~last >> 3) & (mode == .bits64 ? 15 : 7)
        switch last & 3 {
        case 1: operandPrefix = true
        case 2: result.repeatPrefix = .f3
        case 3: result.repeatPrefix = .f2
        default: break
        }
        return map + 3
    }

    private static func isPrefix(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65: true
        default: false
        }
    }

    /// In 64-bit mode the four older override prefixes do nothing.
    private mutating func setSegment(_ segment: SegmentName) {
        if mode != .bits64 { result.segmentOverride = segment }
    }

    private mutating func find(_ map: Int, _ opcode: UInt8) throws(Failure) -> OpcodeForm {
        let slot = map << 8 | Int(opcode)
        for index in Int(firstForms[slot])..<Int(firstForms[slot + 1]) {
            let form = OpcodeForm(index: index)
            guard form.allows(mode), allowsPrefix(form) else { continue }
            if form.constrainsModRM {
                if modRM == nil { modRM = try byte() }
                guard let modRM, form.matches(modRM) else { continue }
            }
            // F3 and F2 that choose the form do not repeat.
            if form.prefix == .f3 || form.prefix == .f2 { result.repeatPrefix = .none }
            return form
        }
        throw .undefined
    }

    private func allowsPrefix(_ form: OpcodeForm) -> Bool {
        switch form.prefix {
        case .any: true
        case .none: result.repeatPrefix == .none && !operandPrefix
        case .operandSize: result.repeatPrefix == .none && operandPrefix
        case .f3: result.repeatPrefix == .f3
        case .f2: result.repeatPrefix == .f2
        }
    }

    private mutating func setWidths(_ form: OpcodeForm) throws(Failure) {
        switch mode {
        case .bits64:
            result.addressWidth = addressPrefix ? .double : .quad
            if rex & 8 != 0 || form.mode == .always64 {
                result.width = .quad
            } else if operandPrefix && form.prefix != .operandSize {
                result.width = .word
            } else {
                result.width = form.mode == .default64 ? .quad : .double
            }
        case .bits32:
            result.addressWidth = addressPrefix ? .word : .double
            result.width = operandPrefix && form.prefix != .operandSize ? .word : .double
        case .bits16:
            result.addressWidth = addressPrefix ? .double : .word
            result.width = operandPrefix && form.prefix != .operandSize ? .double : .word
        }
    }

    // MARK: Addresses

    private mutating func readAddress(_ modRM: UInt8) throws(Failure) {
        result.memory = MemoryOperand()
        result.memory.addressWidth = result.addressWidth
        if result.addressWidth == .word { try readAddress16(modRM) } else { try readAddress32(modRM) }
        if let override = result.segmentOverride { result.memory.segment = override }
        result.memory.displacement = displacement
    }

    private mutating func readAddress16(_ modRM: UInt8) throws(Failure) {
        let pairs: [(UInt8?, UInt8?)] = [(3, 6), (3, 7), (5, 6), (5, 7), (6, nil), (7, nil), (5, nil), (3, nil)]
        var (base, index) = pairs[Int(modRM & 7)]
        switch modRM >> 6 {
        case 0 where modRM & 7 == 6:
            (base, index) = (nil, nil)
            displacement = try signed(2)
        case 1: displacement = try signed(1)
        case 2: displacement = try signed(2)
        default: break
        }
        result.memory.base = base
        result.memory.index = index
        if base == 5 { result.memory.segment = .ss }
    }

    private mutating func readAddress32(_ modRM: UInt8) throws(Failure) {
        let kind = modRM >> 6
        if modRM & 7 == 4 {
            sib = try byte()
            let index = sib >> 3 & 7 | (rex & 2) << 2
            if index != 4 {
                result.memory.index = index
                result.memory.scale = 1 << (sib >> 6)
            }
            if sib & 7 == 5 && kind == 0 {
                displacement = try signed(4)
            } else {
                result.memory.base = sib & 7 | (rex & 1) << 3
            }
        } else if modRM & 7 == 5 && kind == 0 {
            displacement = try signed(4)
            result.memory.isRelative = mode == .bits64
        } else {
            result.memory.base = modRM & 7 | (rex & 1) << 3
        }
        if kind == 1 { displacement = try signed(1) } else if kind == 2 { displacement = try signed(4) }
        if let base = result.memory.base, base == 4 || base == 5 { result.memory.segment = .ss }
    }

    // MARK: Operands

    private func general(_ number: UInt8, _ width: Width) -> Operand {
        if width == .byte, rex == 0, number >= 4, number < 8 {
            return .register(RegisterOperand(number: number - 4, width: .byte, isHigh: true))
        }
        return .register(RegisterOperand(number: number, width: width))
    }

    private var registerField: UInt8 { (modRM ?? 0) >> 3 & 7 | (rex & 4) << 1 }
    private var modRMField: UInt8 { (modRM ?? 0) & 7 | (rex & 1) << 3 }

    private mutating func registerOrMemory(_ width: Width) -> Operand {
        guard (modRM ?? 0) < 0xc0 else { return general(modRMField, width) }
        result.memory.width = width
        return .memory
    }

    /// A vector or MMX register, or memory.
    private mutating func orMemory(_ register: Operand, _ width: Width) -> Operand {
        guard (modRM ?? 0) < 0xc0 else { return register }
        result.memory.width = width
        return .memory
    }

    private var wide: Width { rex & 8 != 0 ? .quad : .double }

    private mutating func operand(_ code: OperandCode) throws(Failure) -> Operand {
        switch code {
        case .none: throw .undefined
        case .eb, .mb: return registerOrMemory(.byte)
        case .ew: return registerOrMemory(.word)
        case .ed, .md: return registerOrMemory(.double)
        case .ev, .mv: return registerOrMemory(result.width)
        case .my: return registerOrMemory(wide)
        case .m, .mp: return registerOrMemory(result.width)
        case .gb: return general(registerField, .byte)
        case .gw: return general(registerField, .word)
        case .gv: return general(registerField, result.width)
        case .gy: return general(registerField, wide)
        case .ry: return general(modRMField, mode == .bits64 ? .quad : .double)
        case .rv: return general(modRMField, result.width)
        case .zb: return general(result.opcode & 7 | (rex & 1) << 3, .byte)
        case .zv: return general(result.opcode & 7 | (rex & 1) << 3, result.width)
        case .ib: return .immediate(Int64(try little(1)))
        case .`is`: return .immediate(try signed(1))
        case .iw: return .immediate(Int64(try little(2)))
        case .iz: return .immediate(try signed(min(4, result.width.byteCount)))
        case .iv: return .immediate(try signed(result.width.byteCount))
        case .jb: return .target(try signed(1))
        case .jz: return .target(try signed(result.width == .word ? 2 : 4))
        case .ob: return try offset(.byte)
        case .ov: return try offset(result.width)
        case .ap:
            let offset = try little(result.width == .word ? 2 : 4)
            return .far(selector: UInt16(try little(2)), offset: UInt32(offset))
        case .al: return general(0, .byte)
        case .rax: return general(0, result.width)
        case .cl: return general(1, .byte)
        case .dx: return general(2, .word)
        case .one: return .immediate(1)
        case .es: return .segment(.es)
        case .cs: return .segment(.cs)
        case .ss: return .segment(.ss)
        case .ds: return .segment(.ds)
        case .fs: return .segment(.fs)
        case .gs: return .segment(.gs)
        case .sw:
            guard let segment = SegmentName(rawValue: registerField & 7) else { throw .undefined }
            return .segment(segment)
        case .cy:
            // LOCK with CR0 names CR8 on AMD processors.
            let number = registerField | (result.isLocked ? 8 : 0)
            result.isLocked = false
            guard [0, 2, 3, 4, 8].contains(number) else { throw .undefined }
            return .control(number)
        case .dy: return .debug(registerField)
        case .lb:
            guard (modRM ?? 0) < 0xc0 else { return general(modRMField, .double) }
            return registerOrMemory(.byte)
        case .ey: return registerOrMemory(wide)
        case .vx: return .vector(registerField)
        case .ux: return .vector(modRMField)
        case .wx, .mx: return orMemory(.vector(modRMField), .octo)
        case .wq, .mq: return orMemory(.vector(modRMField), .quad)
        case .wd: return orMemory(.vector(modRMField), .double)
        case .ww: return orMemory(.vector(modRMField), .word)
        case .st: return .stack(0)
        case .sti: return .stack((modRM ?? 0) & 7)
        case .ax: return general(0, .word)
        case .mw: return registerOrMemory(.word)
        case .pq: return .mmx((modRM ?? 0) >> 3 & 7)
        case .nq: return .mmx((modRM ?? 0) & 7)
        case .qq: return orMemory(.mmx((modRM ?? 0) & 7), .quad)
        case .qd: return orMemory(.mmx((modRM ?? 0) & 7), .double)
        case .by: return general(vexRegister, wide)
        }
    }

    private mutating func offset(_ width: Width) throws(Failure) -> Operand {
        result.memory = MemoryOperand()
        result.memory.addressWidth = result.addressWidth
        result.memory.displacement = Int64(bitPattern: try little(result.addressWidth.byteCount))
        result.memory.width = width
        if let override = result.segmentOverride { result.memory.segment = override }
        return .memory
    }

    /// LOCK is #UD but on these instructions with a memory destination.
    private func checkLock() throws(Failure) {
        guard result.isLocked else { return }
        switch result.mnemonic {
        case .add, .or, .adc, .sbb, .and, .sub, .xor, .inc, .dec, .neg, .not, .xchg, .xadd, .cmpxchg, .cmpxchg8b, .bts,
            .btr, .btc:
            guard result.operands.first == .memory || (result.mnemonic == .xchg && result.hasMemory) else {
                throw .undefined
            }
        default: throw .undefined
        }
    }
}
