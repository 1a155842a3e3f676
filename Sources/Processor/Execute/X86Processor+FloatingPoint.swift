// The state of x87 and SSE as instructions save and restore it, and its way in and out of the VMSA.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    func executeFloatingPointState(_ i: Instruction) throws(Interruption) {
        guard state.registers.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 || i.mnemonic == .fwait else {
            throw .exception(.deviceNotAvailable)
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

    private func x87(_ offset: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: core[offset & ~7] >> UInt64(8 * (offset & 7)))
    }
    private func setX87(_ offset: Int, _ value: UInt16) {
        let shift = UInt64(8 * (offset & 7))
        core[offset & ~7] = core[offset & ~7] & ~(0xffff << shift) | UInt64(value) << shift
    }

    /// The 512 bytes of FXSAVE.
    ///
    /// - Spec: APM2 11.4.4
    private func saveState(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .write, count: 512)
        guard address & 15 == 0 else { throw .exception(.protection()) }
        var image = try readLinear(address, 512)
        func put(_ value: UInt64, _ at: Int, _ count: Int) {
            for index in 0..<count { image[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        }
        put(UInt64(x87(CoreLayout.x87Control)), 0, 2)
        put(UInt64(x87(CoreLayout.x87Status)), 2, 2)
        put(UInt64(x87(CoreLayout.x87Tag)), 4, 2)
        put(0, 6, 18)
        put(core[CoreLayout.mxcsr] & 0xffff_ffff, 24, 4)
        put(0xffff, 28, 4)
        for number in 0..<8 {
            put(core[CoreLayout.x87Registers + number * 16], 32 + number * 16, 8)
            put(core[CoreLayout.x87Registers + number * 16 + 8] & 0xffff, 40 + number * 16, 8)
        }
        for number in 0..<(codeMode == .bits64 ? 16 : 8) {
            put(core[CoreLayout.vectors + number * 32], 160 + number * 16, 8)
            put(core[CoreLayout.vectors + number * 32 + 8], 168 + number * 16, 8)
        }
        try writeLinear(address, image)
    }

    private func restoreState(_ i: Instruction) throws(Interruption) {
        let address = try linear(of: i, .read, count: 512)
        guard address & 15 == 0 else { throw .exception(.protection()) }
        let image = try readLinear(address, 512)
        func get(_ at: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(image[at + $1]) << UInt64(8 * $1) }
        }
        guard get(24, 4) >> 16 == 0 else { throw .exception(.protection()) }
        setX87(CoreLayout.x87Control, UInt16(get(0, 2)))
        setX87(CoreLayout.x87Status, UInt16(get(2, 2)))
        setX87(CoreLayout.x87Tag, UInt16(get(4, 1)))
        core[CoreLayout.mxcsr] = get(24, 4)
        for number in 0..<8 {
            core[CoreLayout.x87Registers + number * 16] = get(32 + number * 16, 8)
            core[CoreLayout.x87Registers + number * 16 + 8] = get(40 + number * 16, 2)
        }
        for number in 0..<(codeMode == .bits64 ? 16 : 8) {
            core[CoreLayout.vectors + number * 32] = get(160 + number * 16, 8)
            core[CoreLayout.vectors + number * 32 + 8] = get(168 + number * 16, 8)
        }
    }

    // MARK: The VMSA

    func loadFloatingPoint() {
        core[CoreLayout.mxcsr] = UInt64(state.registers.mxcsr)
        setX87(CoreLayout.x87Control, state.registers.x87FCW)
        setX87(CoreLayout.x87Status, state.registers.x87FSW)
        setX87(CoreLayout.x87Tag, state.registers.x87FTW)
        for number in 0..<8 {
            core[CoreLayout.x87Registers + number * 16] = state.registers.x87Registers[number]
            core[CoreLayout.x87Registers + number * 16 + 8] =
                state.registers.x87Registers[8 + number / 4] >> UInt64(16 * (number % 4)) & 0xffff
        }
        core.setVectors(state.registers.xmmRegisters)
    }

    func storeFloatingPoint() {
        state.registers.mxcsr = UInt32(truncatingIfNeeded: core[CoreLayout.mxcsr])
        state.registers.x87FCW = x87(CoreLayout.x87Control)
        state.registers.x87FSW = x87(CoreLayout.x87Status)
        state.registers.x87FTW = x87(CoreLayout.x87Tag)
        state.registers.x87Registers[8] = 0
        state.registers.x87Registers[9] = 0
        for number in 0..<8 {
            state.registers.x87Registers[number] = core[CoreLayout.x87Registers + number * 16]
            state.registers.x87Registers[8 + number / 4] |=
                (core[CoreLayout.x87Registers + number * 16 + 8] & 0xffff) << UInt64(16 * (number % 4))
        }
        state.registers.xmmRegisters = core.vectors
    }
}
