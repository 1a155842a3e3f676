// What memory an instruction would access, from its operands and the registers: so that an explanation can name the linear
// address behind a fault of which only the guest physical address is known.

public import SNPArchitecture

/// One access that an instruction makes.
public struct InstructionAccess: Hashable, Sendable {
    /// The linear address.
    public var linear: UInt64
    /// How many bytes; at least one.
    public var byteCount: Int
    /// What it does there.
    public var kind: AccessKind
    /// What the access is, in words.
    public var name: String
}

extension VMSA {
    /// How wide the code is that these registers run.
    public var codeSize: CodeSize {
        if efer & EFER.longModeActive != 0, cs.attributes & SegmentAttributes.long != 0 { return .bits64 }
        return cs.attributes & SegmentAttributes.big != 0 && cr0 & CR0.protection != 0 ? .bits32 : .bits16
    }

    /// Where the next instruction is fetched from.
    public var linearRIP: UInt64 { codeSize == .bits64 ? rip : (cs.base &+ rip) & 0xffff_ffff }

    /// What the instruction accesses: its fetch first, then operands. A write is assumed where an operand may be written.
    ///
    /// - Deviates: string instructions count as one element, and what system instructions access beside their operand is
    ///   left out
    public func accesses(of bytes: [UInt8]) -> [InstructionAccess] {
        var result = [
            InstructionAccess(linear: linearRIP, byteCount: 1, kind: .execute, name: "the instruction's fetch")
        ]
        guard case .instruction(let i) = Decoder.decode(Array(bytes.prefix(15)), mode: codeSize.mode) else {
            return result
        }
        func add(_ linear: UInt64, _ byteCount: Int, _ kind: AccessKind, _ name: String) {
            result.append(InstructionAccess(linear: linear, byteCount: max(1, byteCount), kind: kind, name: name))
        }
        let stack = linear(.ss, general(4))
        switch i.mnemonic {
        case .pvalidate, .rmpadjust, .rmpquery:
            add(general(0), 1, .read, "the address in RAX")
        case .push, .pushf, .pusha, .call, .callf, .enter:
            add(stack &- UInt64(i.width.byteCount), i.width.byteCount, .write, "the stack")
        case .pop, .popf, .popa, .ret, .retf, .iret, .leave:
            add(stack, i.width.byteCount, .read, "the stack")
        case .movs, .movsb, .cmps, .cmpsb, .stos, .stosb, .lods, .lodsb, .scas, .scasb, .ins, .insb, .outs, .outsb:
            let width = "\(i.mnemonic)".hasSuffix("b") ? 1 : i.width.byteCount
            add(linear(i.segmentOverride ?? .ds, general(6)), width, .read, "the string at RSI")
            let writes: [Mnemonic] = [.movs, .movsb, .stos, .stosb, .ins, .insb]
            add(linear(.es, general(7)), width, writes.contains(i.mnemonic) ? .write : .read, "the string at RDI")
        default: break
        }
        if i.hasMemory, i.mnemonic != .lea, i.mnemonic != .nop {
            let isWrite = i.operands.first == .memory && !Self.onlyReads.contains(i.mnemonic)
            let address = linear(i.memory.segment, effectiveAddress(i))
            add(address, i.memory.width.byteCount, isWrite ? .write : .read, "the operand in memory")
        }
        return result
    }

    private static let onlyReads: Set<Mnemonic> = [
        .cmp, .test, .push, .call, .jmp, .callf, .jmpf, .mul, .imul, .div, .idiv, .bt, .lgdt, .lidt, .lldt, .ltr, .lmsw,
        .fxrstor, .xrstor, .ldmxcsr, .invlpg, .clflush, .verr, .verw,
    ]

    private func effectiveAddress(_ i: Instruction) -> UInt64 {
        let m = i.memory
        var address = UInt64(bitPattern: m.displacement)
        if m.isRelative { address &+= rip &+ UInt64(i.length) }
        if let base = m.base { address &+= general(base) }
        if let index = m.index { address &+= general(index) &* UInt64(m.scale) }
        switch m.addressWidth {
        case .byte, .word: return address & 0xffff
        case .double: return address & 0xffff_ffff
        case .quad, .octo: return address
        }
    }

    private func linear(_ segment: SegmentName, _ offset: UInt64) -> UInt64 {
        let base: UInt64
        switch segment {
        case .fs: base = fs.base
        case .gs: base = gs.base
        case .es: base = codeSize == .bits64 ? 0 : es.base
        case .cs: base = codeSize == .bits64 ? 0 : cs.base
        case .ss: base = codeSize == .bits64 ? 0 : ss.base
        case .ds: base = codeSize == .bits64 ? 0 : ds.base
        }
        return codeSize == .bits64 ? base &+ offset : (base &+ offset) & 0xffff_ffff
    }

    private func general(_ number: UInt8) -> UInt64 {
        switch number & 15 {
        case 0: rax
        case 1: rcx
        case 2: rdx
        case 3: rbx
        case 4: rsp
        case 5: rbp
        case 6: rsi
        case 7: rdi
        case 8: r8
        case 9: r9
        case 10: r10
        case 11: r11
        case 12: r12
        case 13: r13
        case 14: r14
        default: r15
        }
    }
}
