// The state of x87 and SSE as instructions save and restore it, and its way in and out of the VMSA.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    func executeFloatingPointState(_ i: Instruction) throws(Interruption) {
        let r = state.registers
        switch i.mnemonic {
        case .fwait:
            // Only where TS and MP are both set.
            guard r.cr0 & 0xa != 0xa else { throw .exception(.deviceNotAvailable) }
            return try requireNoX87Exception()
        case .xsave, .xsavec, .xsaveopt, .xsaves, .xrstor, .xrstors:
            guard r.cr4 & CR4.osxsave != 0 else { throw .exception(.undefined) }
            guard r.cr0 & CR0.taskSwitched == 0 else { throw .exception(.deviceNotAvailable) }
            if i.mnemonic == .xsaves || i.mnemonic == .xrstors { try requireSupervisor() }
            return i.mnemonic == .xrstor || i.mnemonic == .xrstors ? try restoreExtended(i) : try saveExtended(i)
        case .ldmxcsr, .stmxcsr:
            guard r.cr0 & CR0.emulation == 0, r.cr4 & CR4.osfxsr != 0 else { throw .exception(.undefined) }
            guard r.cr0 & CR0.taskSwitched == 0 else { throw .exception(.deviceNotAvailable) }
        default:
            guard r.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 else { throw .exception(.deviceNotAvailable) }
        }
        switch i.mnemonic {
        case .ldmxcsr:
            let value = try readValue(linear(of: i, .read), 4)
            guard value >> 16 == 0 else { throw .exception(.protection()) }
            core[CoreLayout.mxcsr] = value
        case .stmxcsr: try writeValue(linear(of: i, .write), core[CoreLayout.mxcsr], 4)
        case .fxsave: try saveState(i)
        case .fxrstor: try restoreState(i)
        default: break
        }
    }

    // MARK: The parts of the 512 bytes

    private var vectorCount: Int { codeMode == .bits64 ? 16 : 8 }

    private static func put(_ value: UInt64, _ at: Int, _ count: Int, _ image: inout [UInt8]) {
        for index in 0..<count { image[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    private static func get(_ at: Int, _ count: Int, _ image: [UInt8]) -> UInt64 {
        (0..<count).reduce(0) { $0 | UInt64(image[at + $1]) << UInt64(8 * $1) }
    }

    /// - Spec: APM2 11.4.4
    /// - Deviates: the last opcode and pointers are saved only while an exception is pending, as before XSAVEERPTR
    private func putX87(_ i: Instruction, _ image: inout [UInt8]) {
        let isPending = x87Status & 0x80 != 0
        let wide = i.width == .quad ? 8 : 4
        Self.put(UInt64(x87Control), 0, 2, &image)
        Self.put(UInt64(x87Status), 2, 2, &image)
        Self.put(UInt64(x87Tag), 4, 2, &image)
        Self.put(isPending ? UInt64(x87Opcode) : 0, 6, 2, &image)
        Self.put(0, 8, 16, &image)
        if isPending {
            Self.put(core[CoreLayout.x87Instruction], 8, wide, &image)
            Self.put(core[CoreLayout.x87Data], 16, wide, &image)
        }
        for index in 0..<8 {
            let value = x87Value(index)
            Self.put(value.significand, 32 + index * 16, 8, &image)
            Self.put(UInt64(value.signAndExponent), 40 + index * 16, 8, &image)
        }
    }

    private func getX87(_ i: Instruction, _ image: [UInt8]) {
        x87Control = UInt16(Self.get(0, 2, image))
        x87Status = UInt16(Self.get(2, 2, image))
        x87Tag = UInt8(Self.get(4, 1, image))
        if x87Status & 0x80 != 0 {
            x87Opcode = UInt16(Self.get(6, 2, image))
            let wide = i.width == .quad ? 8 : 4
            core[CoreLayout.x87Instruction] = Self.get(8, wide, image)
            core[CoreLayout.x87Data] = Self.get(16, wide, image)
        }
        summariseX87()
        for index in 0..<8 {
            setX87Physical(
                x87Top + index,
                ExtendedFloat(
                    significand: Self.get(32 + index * 16, 8, image),
                    signAndExponent: UInt16(Self.get(40 + index * 16, 2, image))))
        }
    }

    private func putVectors(_ image: inout [UInt8]) {
        for number in 0..<vectorCount {
            Self.put(core[CoreLayout.vectors + number * 32], 160 + number * 16, 8, &image)
            Self.put(core[CoreLayout.vectors + number * 32 + 8], 168 + number * 16, 8, &image)
        }
    }

    private func getVectors(_ image: [UInt8]?) {
        for number in 0..<vectorCount {
            core[CoreLayout.vectors + number * 32] = image.map { Self.get(160 + number * 16, 8, $0) } ?? 0
            core[CoreLayout.vectors + number * 32 + 8] = image.map { Self.get(168 + number * 16, 8, $0) } ?? 0
        }
    }

    private func putMXCSR(_ image: inout [UInt8]) {
        Self.put(core[CoreLayout.mxcsr] & 0xffff_ffff, 24, 4, &image)
        Self.put(0xffff, 28, 4, &image)
    }

    // MARK: FXSAVE and FXRSTOR

    private func saveState(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .write, count: 512)
        guard address & 15 == 0 else { throw .exception(.protection()) }
        var image = try readLinear(address, 512)
        putX87(i, &image)
        putMXCSR(&image)
        if !isFastSave { putVectors(&image) }
        try writeLinear(address, image)
    }

    private func restoreState(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .read, count: 512)
        guard address & 15 == 0 else { throw .exception(.protection()) }
        let image = try readLinear(address, 512)
        guard Self.get(24, 4, image) >> 16 == 0 else { throw .exception(.protection()) }
        getX87(i, image)
        core[CoreLayout.mxcsr] = Self.get(24, 4, image)
        if !isFastSave { getVectors(image) }
    }

    /// EFER.FFXSR lets kernels save vectors only where they want to.
    private var isFastSave: Bool {
        state.registers.efer & EFER.fastSave != 0 && cpl == 0 && codeMode == .bits64
    }

    // MARK: XSAVE and its kin, for x87 and SSE

    /// Components that are not in their initial state.
    var componentsInUse: UInt64 {
        let isX87Initial =
            x87Control == 0x37f && x87Status == 0 && x87Tag == 0 && core[CoreLayout.x87Instruction] == 0
            && core[CoreLayout.x87Data] == 0 && x87Opcode == 0
            && (0..<8).allSatisfy { x87Physical($0) == .zero() }
        let areVectorsInitial = (0..<vectorCount).allSatisfy {
            core[CoreLayout.vectors + $0 * 32] == 0 && core[CoreLayout.vectors + $0 * 32 + 8] == 0
        }
        return (isX87Initial ? 0 : 1) | (areVectorsInitial ? 0 : 2)
    }

    private var requestedComponents: UInt64 {
        (core.general(0) & 0xffff_ffff | core.general(2) << 32) & state.registers.xcr0
    }

    /// - Spec: APM2 11.5; APM4 XSAVE, XSAVEC, XSAVEOPT, XSAVES
    /// - Deviates: XSAVEOPT saves what is in use whether or not it was modified
    private func saveExtended(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .write, count: 576)
        guard address & 63 == 0 else { throw .exception(.protection()) }
        let isCompact = i.mnemonic == .xsavec || i.mnemonic == .xsaves
        let requested = requestedComponents
        let inUse = componentsInUse
        let saved = i.mnemonic == .xsave ? requested : requested & inUse
        var image = try readLinear(address, 576)
        if saved & 1 != 0 { putX87(i, &image) }
        if saved & 2 != 0 { putVectors(&image) }
        // MXCSR goes with the vectors, but is no part of what is in use or not.
        if isCompact ? saved & 2 != 0 : requested & 2 != 0 { putMXCSR(&image) }
        let old = isCompact ? 0 : Self.get(512, 8, image) & ~requested
        Self.put(old | requested & inUse, 512, 8, &image)
        if isCompact { Self.put(1 << 63 | requested, 520, 8, &image) }
        try writeLinear(address, image)
    }

    /// - Spec: APM4 XRSTOR, XRSTORS
    private func restoreExtended(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .read, count: 576)
        guard address & 63 == 0 else { throw .exception(.protection()) }
        let image = try readLinear(address, 576)
        let (present, format) = (Self.get(512, 8, image), Self.get(520, 8, image))
        let isCompact = format >> 63 != 0
        let known = state.registers.xcr0
        guard present & ~known == 0 else { throw .exception(.protection()) }
        if isCompact {
            guard format & ~(known | 1 << 63) == 0, present & ~format == 0 else { throw .exception(.protection()) }
        } else {
            guard format == 0, i.mnemonic == .xrstor else { throw .exception(.protection()) }
        }
        guard image[528..<(isCompact ? 576 : 536)].allSatisfy({ $0 == 0 }) else { throw .exception(.protection()) }
        let requested = requestedComponents
        let loads = requested & present
        if requested & 2 != 0 {
            let value = isCompact && loads & 2 == 0 ? 0x1f80 : Self.get(24, 4, image)
            guard value >> 16 == 0 else { throw .exception(.protection()) }
            core[CoreLayout.mxcsr] = value
            getVectors(loads & 2 != 0 ? image : nil)
        }
        if requested & 1 != 0 {
            if loads & 1 != 0 {
                getX87(i, image)
            } else {
                initialiseX87()
                for number in 0..<8 { setX87Physical(number, .zero()) }
            }
        }
    }

    // MARK: The VMSA

    /// - Deviates: that the VMSA has the registers by their own numbers, and the tag word in its short form, is unconfirmed
    func loadFloatingPoint() {
        core[CoreLayout.mxcsr] = UInt64(state.registers.mxcsr)
        x87Control = state.registers.x87FCW
        x87Status = state.registers.x87FSW
        x87Tag = UInt8(truncatingIfNeeded: state.registers.x87FTW)
        x87Opcode = state.registers.x87FOP
        core[CoreLayout.x87Instruction] = state.registers.x87RIP
        core[CoreLayout.x87Data] = state.registers.x87DP
        summariseX87()
        let registers = state.registers.x87Registers
        for number in 0..<8 {
            core[CoreLayout.x87Registers + number * 16] = registers[number]
            core[CoreLayout.x87Registers + number * 16 + 8] =
                registers[8 + number / 4] >> UInt64(16 * (number % 4)) & 0xffff
        }
        core.setVectors(&state.registers.xmmRegisters)
    }

    func storeFloatingPoint() {
        state.registers.mxcsr = UInt32(truncatingIfNeeded: core[CoreLayout.mxcsr])
        state.registers.x87FCW = x87Control
        state.registers.x87FSW = x87Status
        state.registers.x87FTW = UInt16(x87Tag)
        state.registers.x87FOP = x87Opcode
        state.registers.x87RIP = core[CoreLayout.x87Instruction]
        state.registers.x87DP = core[CoreLayout.x87Data]
        var registers = InlineArray<10, UInt64>(repeating: 0)
        for number in 0..<8 {
            registers[number] = core[CoreLayout.x87Registers + number * 16]
            registers[8 + number / 4] |=
                (core[CoreLayout.x87Registers + number * 16 + 8] & 0xffff) << UInt64(16 * (number % 4))
        }
        state.registers.x87Registers = registers
        core.getVectors(&state.registers.xmmRegisters)
    }
}
