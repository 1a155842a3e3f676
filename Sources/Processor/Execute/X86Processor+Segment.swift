// Instructions on segment registers, descriptor tables and their bases.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func executeSegment(_ i: Instruction) throws(Interruption) {
        switch i.mnemonic {
        case .movseg: try moveSegment(i)
        case .les: try loadFar(i, .es)
        case .lds: try loadFar(i, .ds)
        case .lss: try loadFar(i, .ss)
        case .lfs: try loadFar(i, .fs)
        case .lgs: try loadFar(i, .gs)
        case .lgdt, .lidt: try loadTable(i)
        case .sgdt, .sidt:
            try requirePermissionForTables()
            let table = i.mnemonic == .sgdt ? state.registers.gdtr : state.registers.idtr
            let size = codeMode == .bits64 ? 8 : 4
            let address = try linear(of: i, .write, count: 2 + size)
            try checkWritable(address, 2 + size)
            try writeValue(address, UInt64(table.limit & 0xffff), 2)
            try writeValue(address &+ 2, table.base, size)
        case .lldt, .ltr: try loadSystemSegment(i)
        case .sldt, .str:
            guard isProtected else { throw .exception(.undefined) }
            try requirePermissionForTables()
            let register = i.mnemonic == .sldt ? state.registers.ldtr : state.registers.tr
            try storeSelector(i, register.selector)
        case .lar, .lsl, .verr, .verw: try inspect(i)
        case .arpl:
            guard isProtected else { throw .exception(.undefined) }
            let (a, b) = (try read(0, of: i), try read(1, of: i))
            let raises = a & 3 < b & 3
            if raises { try write(0, of: i, a & ~3 | b & 3) }
            core.flags = core.flags & ~0x40 | (raises ? 0x40 : 0)
        case .swapgs:
            try requireSupervisor()
            let kernel = state.registers.kernelGSBase
            state.registers.kernelGSBase = state.registers.gs.base
            state.registers.gs.base = kernel
            loadSegmentBases()
        default: try moveBase(i)
        }
    }

    /// UMIP keeps programs from reading where the system's tables are.
    func requirePermissionForTables() throws(Interruption) {
        if state.registers.cr4 & CR4.umip != 0, isProtected { try requireSupervisor() }
    }

    private func moveSegment(_ i: Instruction) throws(Interruption) {
        if case .segment(let segment) = i.operands[0] {
            guard segment != .cs else { throw .exception(.undefined) }
            try loadSegment(segment, UInt16(truncatingIfNeeded: read(1, of: i)))
            if segment == .ss { shadowNextInstruction() }
        } else if case .segment(let segment) = i.operands[1] {
            try storeSelector(i, self[segment].selector)
        }
    }

    /// A selector into a register of the operand size, or 16 bits of memory.
    private func storeSelector(_ i: Instruction, _ selector: UInt16) throws(Interruption) {
        if case .register(var register) = i.operands[0] {
            register.width = i.width
            core[register] = UInt64(selector)
        } else {
            try writeValue(linear(of: i, .write, count: 2), UInt64(selector), 2)
        }
    }

    private func loadFar(_ i: Instruction, _ segment: SegmentName) throws(Interruption) {
        let size = i.width.byteCount
        let address = try linear(of: i, .read, count: size + 2)
        let offset = try readValue(address, size)
        try loadSegment(segment, UInt16(truncatingIfNeeded: readValue(address &+ UInt64(size), 2)))
        try write(0, of: i, offset)
    }

    private func loadTable(_ i: Instruction) throws(Interruption) {
        try requireSupervisor()
        let size = codeMode == .bits64 ? 8 : 4
        let address = try linear(of: i, .read, count: 2 + size)
        let limit = UInt32(truncatingIfNeeded: try readValue(address, 2))
        var base = try readValue(address &+ 2, size)
        if size == 4, i.width == .word { base &= 0xff_ffff }
        guard size == 4 || Self.isCanonical(base) else { throw .exception(.protection()) }
        if i.mnemonic == .lgdt {
            state.registers.gdtr = SegmentRegister(limit: limit, base: base)
        } else {
            state.registers.idtr = SegmentRegister(limit: limit, base: base)
        }
    }

    private func loadSystemSegment(_ i: Instruction) throws(Interruption) {
        guard isProtected else { throw .exception(.undefined) }
        try requireSupervisor()
        let selector = UInt16(truncatingIfNeeded: try read(0, of: i))
        let isTask = i.mnemonic == .ltr
        if selector & 0xfffc == 0 {
            guard !isTask else { throw .exception(.protection()) }
            state.registers.ldtr = SegmentRegister(selector: selector)
            return
        }
        guard selector & 4 == 0 else { throw .exception(.protection(selector)) }
        let descriptor = try readDescriptor(selector, isSystem: true)
        let types: [UInt8] = isTask ? (isLongMode ? [9] : [1, 9]) : [2]
        guard !descriptor.isCodeOrData, types.contains(descriptor.type) else { throw .exception(.protection(selector)) }
        guard descriptor.isPresent else { throw .exception(.notPresent(selector)) }
        var register = descriptor.register(selector: selector)
        if isTask {
            // The task becomes busy, in the table and in the register.
            let at = state.registers.gdtr.base &+ UInt64(selector & 0xfff8) &+ 5
            try writeValue(at, descriptor.low >> 40 & 0xff | 2, 1, origin: .system)
            register.attributes |= 2
            state.registers.tr = register
        } else {
            state.registers.ldtr = register
        }
    }

    /// LAR, LSL, VERR, VERW: ZF tells whether the selector may be used so.
    private func inspect(_ i: Instruction) throws(Interruption) {
        guard isProtected else { throw .exception(.undefined) }
        let index = i.mnemonic == .lar || i.mnemonic == .lsl ? 1 : 0
        let selector = UInt16(truncatingIfNeeded: try read(index, of: i))
        var found: SegmentDescriptor?
        if selector & 0xfffc != 0 {
            do throws(Interruption) { found = try readDescriptor(selector) } catch {
                guard case .exception(let exception) = error, exception.vector == 13 else { throw error }
            }
        }
        var isGood = false
        if let descriptor = found {
            let level = max(UInt8(selector & 3), cpl)
            let visible = descriptor.isConforming || descriptor.privilege >= level
            switch i.mnemonic {
            case .verr: isGood = descriptor.isCodeOrData && descriptor.isReadable && visible
            case .verw: isGood = descriptor.isWritable && visible
            case .lar:
                isGood = visible && (descriptor.isCodeOrData || [1, 2, 3, 4, 5, 9, 11, 12].contains(descriptor.type))
                if isGood { try write(0, of: i, descriptor.low >> 32 & 0x00f0_ff00) }
            default:
                isGood = visible && (descriptor.isCodeOrData || [1, 2, 3, 9, 11].contains(descriptor.type))
                if isGood { try write(0, of: i, UInt64(descriptor.limit)) }
            }
        }
        core.flags = core.flags & ~0x40 | (isGood ? 0x40 : 0)
    }

    /// RDFSBASE and its kin.
    private func moveBase(_ i: Instruction) throws(Interruption) {
        guard state.registers.cr4 & CR4.fsgsbase != 0 else { throw .exception(.undefined) }
        guard case .register(var register) = i.operands[0] else { throw .exception(.undefined) }
        register.width = i.width == .quad ? .quad : .double
        switch i.mnemonic {
        case .rdfsbase: core[register] = state.registers.fs.base
        case .rdgsbase: core[register] = state.registers.gs.base
        default:
            let base = core[register]
            guard Self.isCanonical(base) else { throw .exception(.protection()) }
            if i.mnemonic == .wrfsbase { state.registers.fs.base = base } else { state.registers.gs.base = base }
            loadSegmentBases()
        }
    }
}
