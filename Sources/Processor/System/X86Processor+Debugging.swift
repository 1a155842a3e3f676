// Single steps by RFLAGS.TF, and the breakpoints of the debug registers. While there are any, blocks have one instruction each.

internal import Machine
internal import SNPArchitecture

/// Bits of DR6.
enum DR6 {
    static let access: UInt64 = 1 << 13
    static let step: UInt64 = 1 << 14
}
/// Bits of DR7.
enum DR7 {
    static let enabled: UInt64 = 0xff
    static let generalDetect: UInt64 = 1 << 13
}

extension X86Processor {
    /// Whether something has to be looked at between any two instructions.
    var watchesEachInstruction: Bool {
        state.registers.rflags & RFLAGS.trap != 0 || state.registers.dr7 & DR7.enabled != 0
    }

    /// Runs one instruction, and raises #DB where a breakpoint or the trap flag wants it.
    ///
    /// - Spec: APM2 13.1
    /// - Deviates: a repeated string instruction is one step. Data breakpoints see the memory operand, the elements of a string
    ///   instruction's first repetition and the stack of near transfers, PUSH and POP. There are no I/O breakpoints. MOV SS and
    ///   POP SS hold back no #DB
    func runWatched(_ runOne: () throws(Interruption) -> Void) throws(Interruption) {
        let flags = state.registers.rflags
        let breaks = state.registers.dr7 & DR7.enabled != 0
        if breaks, flags & RFLAGS.resume == 0 {
            let rip = state.registers.rip
            let linear = codeMode == .bits64 ? rip : (state.registers.cs.base &+ rip) & 0xffff_ffff
            let hits = breakpoints(linear, 1, isInstruction: true, isWrite: false)
            if hits != 0 { return try raiseDebug(hits) }
        }
        let accesses = breaks ? accessesOfNextInstruction() : []
        let (done, delivered) = (counts.instructions, deliveredCount)
        try runOne()
        guard counts.instructions != done, deliveredCount == delivered else { return }
        if flags & RFLAGS.resume != 0 { state.registers.rflags &= ~RFLAGS.resume }
        var cause = flags & RFLAGS.trap != 0 ? DR6.step : 0
        for access in accesses {
            cause |= breakpoints(access.address, access.count, isInstruction: false, isWrite: access.isWrite)
        }
        if cause != 0 { try raiseDebug(cause) }
    }

    private var deliveredCount: UInt64 { counts.exceptions.values.reduce(0, &+) }

    private func raiseDebug(_ cause: UInt64) throws(Interruption) {
        state.registers.dr6 |= cause
        try deliver(.exception(GuestException(vector: 1)))
    }

    /// The bits of the breakpoints that an access meets.
    private func breakpoints(_ address: UInt64, _ count: Int, isInstruction: Bool, isWrite: Bool) -> UInt64 {
        let r = state.registers
        var hits: UInt64 = 0
        for (number, start) in [r.dr0, r.dr1, r.dr2, r.dr3].enumerated() {
            let (enable, fields) = (r.dr7 >> UInt64(2 * number) & 3, r.dr7 >> UInt64(16 + 4 * number))
            guard enable != 0 else { continue }
            let kind = fields & 3
            guard isInstruction ? kind == 0 : kind == 3 || (kind == 1 && isWrite) else { continue }
            let length: UInt64 = [1, 2, 8, 4][Int(fields >> 2 & 3)]
            let first = start & ~(length - 1)
            if isInstruction ? start == address : address < first &+ length && first < address &+ UInt64(count) {
                hits |= 1 << UInt64(number)
            }
        }
        return hits
    }

    private func accessesOfNextInstruction() -> [(address: UInt64, count: Int, isWrite: Bool)] {
        guard let i = try? decodeInstruction() else { return [] }
        var result: [(address: UInt64, count: Int, isWrite: Bool)] = []
        func add(_ segment: SegmentName, _ offset: UInt64, _ count: Int, isWrite: Bool) {
            if let address = try? linear(segment, offset, count, .read) { result.append((address, count, isWrite)) }
        }
        if i.hasMemory, ![.lea, .nop, .invlpg, .clflush, .clflushopt, .clwb].contains(i.mnemonic) {
            let isRead = [.cmp, .test, .bt, .push, .mul, .imul, .div, .idiv, .jmp, .call].contains(i.mnemonic)
            // The offset of a RIP-relative operand counts from the next instruction.
            let rip = state.registers.rip
            state.registers.rip = nextRIP(after: i)
            if let address = try? linear(of: i, .read) {
                result.append((address, i.memory.width.byteCount, i.operands.first == .memory && !isRead))
            }
            state.registers.rip = rip
        }
        let width = (codeMode == .bits64 ? Width.quad : i.width).byteCount
        switch i.mnemonic {
        case .push, .call, .pushf:
            add(.ss, (core.general(4) &- UInt64(width)) & stackMask, width, isWrite: true)
        case .pop, .ret, .popf: add(.ss, core.general(4) & stackMask, width, isWrite: false)
        case .movs, .movsb, .lods, .lodsb, .cmps, .cmpsb, .stos, .stosb, .scas, .scasb:
            let isByte = [.movsb, .lodsb, .cmpsb, .stosb, .scasb].contains(i.mnemonic)
            let count = isByte ? 1 : i.width.byteCount
            let (from, to) = (
                core[RegisterOperand(number: 6, width: i.addressWidth)],
                core[RegisterOperand(number: 7, width: i.addressWidth)]
            )
            if [.movs, .movsb, .lods, .lodsb, .cmps, .cmpsb].contains(i.mnemonic) {
                add(i.segmentOverride ?? .ds, from, count, isWrite: false)
            }
            if ![.lods, .lodsb].contains(i.mnemonic) {
                add(.es, to, count, isWrite: [.movs, .movsb, .stos, .stosb].contains(i.mnemonic))
            }
        default: break
        }
        return result
    }
}
