// Segment registers: descriptors, loads with their checks, limits, and the stack through them.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// A segment descriptor of 8 bytes, and the upper base of a system descriptor in long mode.
struct SegmentDescriptor: Hashable {
    var low: UInt64
    var high: UInt64 = 0

    var type: UInt8 { UInt8(low >> 40 & 0xf) }
    var isCodeOrData: Bool { low >> 44 & 1 != 0 }
    var isCode: Bool { isCodeOrData && type & 8 != 0 }
    var isData: Bool { isCodeOrData && type & 8 == 0 }
    var isConforming: Bool { isCode && type & 4 != 0 }
    var isReadable: Bool { isData || type & 2 != 0 }
    var isWritable: Bool { isData && type & 2 != 0 }
    var privilege: UInt8 { UInt8(low >> 45 & 3) }
    var isPresent: Bool { low >> 47 & 1 != 0 }
    var isLong: Bool { low >> 53 & 1 != 0 }
    var isBig: Bool { low >> 54 & 1 != 0 }
    var base: UInt64 { low >> 16 & 0xff_ffff | low >> 32 & 0xff00_0000 | (high & 0xffff_ffff) << 32 }
    var limit: UInt32 {
        let raw = UInt32(low & 0xffff | low >> 32 & 0xf_0000)
        return low >> 55 & 1 != 0 ? raw << 12 | 0xfff : raw
    }

    /// The register that loading this descriptor gives.
    func register(selector: UInt16) -> SegmentRegister {
        SegmentRegister(
            selector: selector,
            attributes: SegmentRegister.attributes(descriptor: UInt16(truncatingIfNeeded: low >> 40)), limit: limit,
            base: base)
    }
}

extension X86Processor {
    subscript(segment: SegmentName) -> SegmentRegister {
        get {
            switch segment {
            case .es: state.registers.es
            case .cs: state.registers.cs
            case .ss: state.registers.ss
            case .ds: state.registers.ds
            case .fs: state.registers.fs
            case .gs: state.registers.gs
            }
        }
        set {
            switch segment {
            case .es: state.registers.es = newValue
            case .cs: state.registers.cs = newValue
            case .ss: state.registers.ss = newValue
            case .ds: state.registers.ds = newValue
            case .fs: state.registers.fs = newValue
            case .gs: state.registers.gs = newValue
            }
        }
    }

    /// Copies the bases to the core. In 64-bit mode only FS and GS have one.
    func loadSegmentBases() {
        let isLong = codeMode == .bits64
        for segment in SegmentName.allCases {
            let counts = !isLong || segment == .fs || segment == .gs
            core[CoreLayout.segmentBases + Int(segment.rawValue) * 8] = counts ? self[segment].base : 0
        }
    }

    /// Whether no access through DS, ES or SS can fail a segment check.
    var segmentsAreFlat: Bool {
        [SegmentName.es, .ss, .ds].allSatisfy { segment in
            let register = self[segment]
            return register.limit == ~0 && register.attributes & 0xe == 2
                && register.attributes & SegmentAttributes.present != 0
        } && self[.cs].limit == ~0
    }

    // MARK: Checks

    /// The effective address of a memory operand within its segment.
    func offset(_ memory: MemoryOperand, of instruction: Instruction) -> UInt64 {
        var value = UInt64(bitPattern: memory.displacement)
        if memory.isRelative { value &+= state.registers.rip }
        if let base = memory.base { value &+= core.general(Int(base)) }
        if let index = memory.index { value &+= core.general(Int(index)) &* UInt64(memory.scale) }
        switch memory.addressWidth {
        case .word: return value & 0xffff
        case .double: return value & 0xffff_ffff
        default: return value
        }
    }

    /// The linear address of bytes in a segment, checked.
    ///
    /// - Spec: APM2 4.8, 4.12
    /// - Throws: #GP or #SS (unusable segment, limit, kind of access, address not canonical)
    func linear(
        _ segment: SegmentName, _ offset: UInt64, _ count: Int, _ kind: AccessKind
    ) throws(Interruption) -> UInt64 {
        let register = self[segment]
        let fault: Interruption = .exception(segment == .ss ? .stack() : .protection())
        if codeMode == .bits64 {
            let address = segment == .fs || segment == .gs ? register.base &+ offset : offset
            guard Self.isCanonical(address), Self.isCanonical(address &+ UInt64(max(1, count) - 1)) else { throw fault }
            return address
        }
        if isProtected {
            guard register.attributes & SegmentAttributes.present != 0 else { throw fault }
            let isCode = register.attributes & 8 != 0
            let flag = register.attributes & 2 != 0
            switch kind {
            case .write: guard !isCode, flag else { throw fault }
            case .read: guard !isCode || flag else { throw fault }
            case .execute: break
            }
        }
        let last = offset &+ UInt64(max(1, count) - 1)
        let growsDown = register.attributes & 0xc == 4
        if growsDown {
            let top: UInt64 = register.attributes & SegmentAttributes.big != 0 ? 0xffff_ffff : 0xffff
            guard offset > UInt64(register.limit), last <= top else { throw fault }
        } else {
            guard last <= UInt64(register.limit) else { throw fault }
        }
        return (register.base &+ offset) & 0xffff_ffff
    }

    /// The linear address of an instruction's memory operand, checked.
    func linear(
        of instruction: Instruction, _ kind: AccessKind, count: Int? = nil
    ) throws(Interruption) -> UInt64 {
        try linear(
            instruction.memory.segment, offset(instruction.memory, of: instruction),
            count ?? instruction.memory.width.byteCount, kind)
    }

    /// Checks the memory operand of an instruction that the core will execute.
    func checkSegment(of instruction: Instruction) throws(Interruption) {
        let memory = instruction.memory
        var kind = AccessKind.read
        if instruction.operands.first == .memory {
            switch instruction.mnemonic {
            case .cmp, .test, .bt, .push, .mul, .imul, .div, .idiv, .jmp, .call: break
            default: kind = .write
            }
        }
        _ = try linear(memory.segment, offset(memory, of: instruction), memory.width.byteCount, kind)
    }

    // MARK: Descriptors

    /// Reads a descriptor of the GDT or LDT.
    ///
    /// - Throws: #GP with the selector past the table's limit
    func readDescriptor(
        _ selector: UInt16, isSystem: Bool = false, refusal: ((UInt16) -> GuestException)? = nil
    ) throws(Interruption) -> SegmentDescriptor {
        let fault: Interruption = .exception((refusal ?? { .protection($0) })(selector))
        let table = selector & 4 != 0 ? state.registers.ldtr : state.registers.gdtr
        if selector & 4 != 0, table.attributes & SegmentAttributes.present == 0 { throw fault }
        let offset = UInt64(selector & 0xfff8)
        let size: UInt64 = isSystem && isLongMode ? 16 : 8
        guard offset + size - 1 <= UInt64(table.limit) else { throw fault }
        let low = try readValue(table.base &+ offset, 8, origin: .system)
        let high = size == 16 ? try readValue(table.base &+ offset &+ 8, 8, origin: .system) : 0
        return SegmentDescriptor(low: low, high: high)
    }

    /// Marks a code or data descriptor accessed.
    func markAccessed(_ selector: UInt16, _ descriptor: SegmentDescriptor) throws(Interruption) {
        guard descriptor.low >> 40 & 1 == 0 else { return }
        let table = selector & 4 != 0 ? state.registers.ldtr : state.registers.gdtr
        try writeValue(
            table.base &+ UInt64(selector & 0xfff8) &+ 5, descriptor.low >> 40 & 0xff | 1, 1, origin: .system)
    }

    /// Loads a segment register, but CS.
    ///
    /// - Spec: APM3 MOV (segment registers)
    func loadSegment(_ segment: SegmentName, _ selector: UInt16) throws(Interruption) {
        guard isProtected, state.registers.rflags & RFLAGS.virtual8086 == 0 else {
            return setRealModeSegment(segment, selector)
        }
        let requested = UInt8(selector & 3)
        if selector & 0xfffc == 0 {
            if segment == .ss {
                guard codeMode == .bits64, cpl < 3, requested == cpl else { throw .exception(.protection()) }
            }
            // A null selector keeps nothing but itself; in 64-bit mode FS and GS keep their bases on AMD processors.
            let keepsBase = isLongMode && (segment == .fs || segment == .gs)
            self[segment] = SegmentRegister(selector: selector, base: keepsBase ? self[segment].base : 0)
            return loadSegmentBases()
        }
        if segment == .ss {
            self[segment] = try stackSegment(selector, privilege: cpl, refusal: { .protection($0) })
            return loadSegmentBases()
        }
        let descriptor = try readDescriptor(selector)
        guard descriptor.isCodeOrData, descriptor.isReadable else { throw .exception(.protection(selector)) }
        if descriptor.isData || !descriptor.isConforming {
            guard descriptor.privilege >= max(requested, cpl) else { throw .exception(.protection(selector)) }
        }
        guard descriptor.isPresent else { throw .exception(.notPresent(selector)) }
        try markAccessed(selector, descriptor)
        self[segment] = descriptor.register(selector: selector)
        loadSegmentBases()
    }

    /// A checked stack segment for a privilege level.
    func stackSegment(
        _ selector: UInt16, privilege: UInt8, refusal: (UInt16) -> GuestException = { .invalidTSS($0) }
    ) throws(Interruption) -> SegmentRegister {
        guard selector & 0xfffc != 0, UInt8(selector & 3) == privilege else { throw .exception(refusal(selector)) }
        let descriptor = try readDescriptor(selector)
        guard descriptor.isWritable, descriptor.privilege == privilege else { throw .exception(refusal(selector)) }
        guard descriptor.isPresent else { throw .exception(.stack(selector)) }
        try markAccessed(selector, descriptor)
        return descriptor.register(selector: selector)
    }

    /// Real mode: the base follows from the selector; limit and attributes stay as they are.
    func setRealModeSegment(_ segment: SegmentName, _ selector: UInt16) {
        var register = self[segment]
        register.selector = selector
        register.base = UInt64(selector) << 4
        self[segment] = register
        loadSegmentBases()
    }

    // MARK: The stack

    /// How much of RSP counts.
    var stackMask: UInt64 {
        if codeMode == .bits64 { return ~0 }
        return state.registers.ss.attributes & SegmentAttributes.big != 0 ? 0xffff_ffff : 0xffff
    }

    func setStackPointer(_ value: UInt64) {
        let mask = stackMask
        core.setGeneral(4, core.general(4) & ~mask | value & mask)
    }

    /// Pushes a value of a width.
    func push(_ value: UInt64, _ width: Width) throws(Interruption) {
        // A handler of long mode runs on a flat stack, whatever code was interrupted.
        let isFlat = isLongMode && width == .quad
        let mask = isFlat ? ~0 : stackMask
        let top = (core.general(4) &- UInt64(width.byteCount)) & mask
        let address = isFlat ? top : try linear(.ss, top, width.byteCount, .write)
        try writeValue(address, value, width.byteCount)
        core.setGeneral(4, core.general(4) & ~mask | top)
    }

    /// Pops a value of a width.
    func pop(_ width: Width) throws(Interruption) -> UInt64 {
        let top = core.general(4) & stackMask
        let value = try readValue(linear(.ss, top, width.byteCount, .read), width.byteCount)
        setStackPointer(top &+ UInt64(width.byteCount))
        return value
    }
}
