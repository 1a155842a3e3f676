// A guest with descriptor tables, a task state segment and a handler for every vector, which halts: what was pushed is seen.

import Machine
import Processor
import SNPArchitecture

/// What a handler found on its stack.
struct SeenFault: Equatable, CustomStringConvertible {
    var vector: UInt64
    var error: UInt64?
    var rip: UInt64
    var cs: UInt64
    var description: String {
        "vector \(vector) error \(error.map { String($0, radix: 16) } ?? "none") at \(String(rip, radix: 16)) cs \(cs)"
    }
}

extension GuestFixture {
    static let idt: UInt64 = 0xe0_0000
    static let gdt: UInt64 = 0xe0_2000
    static let task: UInt64 = 0xe0_3000
    /// Where the handler of a vector is: 16 bytes each.
    static let handlers: UInt64 = 0x6e_0000
    static let userCode: UInt64 = 0x50_0000
    static let userStack: UInt64 = 0x5f_0000
    static let kernelStack: UInt64 = 0x21_0000
    static let lastPage: UInt64 = 0x80_0000

    static let kernelCodeSelector: UInt16 = 8
    static let userDataSelector: UInt16 = 0x1b
    static let userCodeSelector: UInt16 = 0x23

    /// Descriptors: 8 code, 10 data, 18 data at CPL 3, 20 code at CPL 3, 28 task, 38 32-bit code, 40 32-bit data.
    func prepareSystem() throws {
        let task = Self.task
        try put(
            Self.gdt,
            quadwords: [
                0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
                0x67 | (task & 0xff_ffff) << 16 | 0x8b << 40 | (task >> 24 & 0xff) << 56, task >> 32,
                0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff,
            ])
        state.registers.gdtr = SegmentRegister(limit: 0x47, base: Self.gdt)
        state.registers.idtr = SegmentRegister(limit: 0xfff, base: Self.idt)
        state.registers.tr = SegmentRegister(selector: 0x28, attributes: 0x8b, limit: 0x67, base: task)
        try put(task + 4, quadwords: [Self.kernelStack])
        try put(Self.handlers, [UInt8](repeating: 0xf4, count: 0x1000))
        for vector in 0..<256 as Range<UInt64> { try setGate(vector) }
    }

    /// An interrupt gate to the vector's handler.
    func setGate(_ vector: UInt64, privilege: UInt64 = 0, stack: UInt64 = 0, isPresent: Bool = true) throws {
        let handler = Self.handlers + vector * 16
        let low =
            handler & 0xffff | 8 << 16 | stack << 32 | (0xe | privilege << 5 | (isPresent ? 0x80 : 0)) << 40
            | (handler >> 16 & 0xffff) << 48
        try put(Self.idt + vector * 16, quadwords: [low, handler >> 32])
    }

    /// Puts the processor at CPL 3.
    func enterUserMode(at rip: UInt64 = GuestFixture.userCode) {
        state.registers.cs = SegmentRegister(selector: Self.userCodeSelector, attributes: 0xafb, limit: ~0)
        state.registers.ss = SegmentRegister(selector: Self.userDataSelector, attributes: 0xcf3, limit: ~0)
        state.registers.cpl = 3
        state.registers.rip = rip
        state.registers.rsp = Self.userStack
    }

    /// The fault whose handler the guest halted in.
    func seenFault() throws -> SeenFault? {
        let rip = state.registers.rip
        guard rip > Self.handlers, rip <= Self.handlers + 0x1000 else { return nil }
        let vector = (rip - 1 - Self.handlers) / 16
        let hasError = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(vector)
        let top = state.registers.rsp
        let base = hasError ? top + 8 : top
        return SeenFault(
            vector: vector, error: hasError ? try quadword(top) : nil, rip: try quadword(base),
            cs: try quadword(base + 8))
    }

    /// Runs code at CPL 0 or 3 and says which handler it ended in.
    func fault(_ code: [UInt8], atUser: Bool = false) throws -> SeenFault? {
        if atUser {
            try put(Self.userCode, code)
            enterUserMode()
            processor.forgetCode()
            guard resume().code == .halt else { return nil }
        } else {
            guard try run(code).code == .halt else { return nil }
        }
        return try seenFault()
    }

    /// The page table of the last 2 MiB but seven: 4 KiB pages, all of them present, writable and for everyone.
    func splitLastPage() throws {
        let table = Self.tables + 0x3000
        try put(Self.tables + 0x2000 + 4 * 8, quadwords: [table | Self.cBit | 7])
        try put(table, quadwords: (0..<512).map { Self.lastPage + $0 << 12 | Self.cBit | 7 })
    }

    /// Sets the entry of one page of the split 2 MiB.
    func setPage(_ index: UInt64, _ flags: UInt64, cBit: Bool = true) throws {
        let entry = Self.lastPage + index << 12 | flags | (cBit ? Self.cBit : 0)
        try put(Self.tables + 0x3000 + index * 8, quadwords: [entry])
    }
    func pageEntry(_ index: UInt64) throws -> UInt64 { try quadword(Self.tables + 0x3000 + index * 8) }

    /// Makes everything the supervisor's but the user's code and stack, and the split 2 MiB.
    func protectSupervisor() throws {
        for index in [0, 1, 3, 5, 6, 7] as [UInt64] {
            try put(Self.tables + 0x2000 + index * 8, quadwords: [index << 21 | Self.cBit | 0x83])
        }
    }
}
