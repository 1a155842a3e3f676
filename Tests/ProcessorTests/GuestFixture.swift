// A guest of 16 MiB, all of it private and validated, mapped one to one with 2 MiB pages, and a processor to run it on.

import Machine
import Processor
import SNPArchitecture
import Testing

/// Hands out frames and takes none back.
final class FramesUpwards: TablePageSource, @unchecked Sendable {
    private var next: UInt64
    init(first: PFN) { next = first.rawValue }
    func allocateTablePage() -> PFN? {
        defer { next += 1 }
        return PFN(next)
    }
    func freeTablePage(_ pfn: PFN) {}
}

/// A guest whose memory, page tables and registers a test sets, and then runs.
final class GuestFixture {
    static let asid = ASID(3)
    static let memoryByteCount: UInt64 = 16 << 20
    /// Where the guest's frames lie.
    static let firstFrame = PFN(64 << 8)
    static let cBit: UInt64 = 1 << 51
    /// The guest's own page tables.
    static let tables: UInt64 = 0xf0_0000
    /// Where code is put unless a test says otherwise.
    static let code: UInt64 = 0x10_0000
    static let stack: UInt64 = 0x20_0000

    let machine: Machine
    let nested: PageTable
    let memory: GuestAccess
    let processor: X86Processor
    var state = VirtualCPUState(registers: VMSA())

    init(code: CodeRegistry = CodeRegistry()) throws {
        processor = X86Processor(seed: 1, code: code)
        machine = try Machine(MachineConfiguration(dramByteCount: 256 << 20))
        nested = try PageTable(memory: machine.memory, pages: FramesUpwards(first: PFN(32 << 8)))
        let key = machine.encryption.installKey((0..<16).map { UInt8($0 ^ 0x5a) }, for: Self.asid)
        memory = GuestAccess(
            memory: machine.memory, rmp: machine.rmp, epochs: machine.epochs,
            context: RunningGuest(asid: Self.asid, vmpl: .vmpl0, nestedRoot: nested.root, key: key))
        for head in stride(from: 0, to: Self.memoryByteCount >> 12, by: 512) {
            let pfn = Self.firstFrame + head
            let gpa = GPA(head << 12)
            try machine.rmp.rmpUpdate(pfn.address, to: .guest(Self.asid, at: gpa, .size2M))
            try nested.map(head, to: pfn, level: .level2M, flags: .guest)
            let page = GuestPage(gpa: gpa, pfn: pfn, level: .level2M)
            _ = try machine.rmp.pvalidate(page, size: .size2M, validate: true, asid: Self.asid, vmpl: .vmpl0)
            for frame in 0..<512 as Range<UInt64> { machine.memory.setKey(key, of: pfn + frame) }
        }
        try enterLongMode()
    }

    /// 64-bit code at CPL 0 with flat segments, the stack below `stack`.
    func enterLongMode() throws {
        try put(Self.tables, quadwords: [Self.tables + 0x1000 | Self.cBit | 7])
        try put(Self.tables + 0x1000, quadwords: [Self.tables + 0x2000 | Self.cBit | 7])
        try put(Self.tables + 0x2000, quadwords: (0..<8).map { $0 << 21 | Self.cBit | 0x87 })
        var r = VMSA()
        r.cs = SegmentRegister(selector: 8, attributes: 0xa9b, limit: ~0)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(selector: 16, attributes: 0xc93, limit: ~0)
        }
        r.efer = 0x1d01
        r.cr0 = 0x8001_0031
        r.cr4 = 0x6a0
        r.cr3 = Self.tables | Self.cBit
        r.rflags = 2
        r.rip = Self.code
        r.rsp = Self.stack
        r.mxcsr = 0x1f80
        r.x87FCW = 0x37f
        r.sevFeatures = [.snpActive]
        state = VirtualCPUState(registers: r)
    }

    func put(_ address: UInt64, _ bytes: [UInt8]) throws { try memory.store(bytes, at: GPA(address), .private) }
    func put(_ address: UInt64, quadwords: [UInt64]) throws {
        try put(address, quadwords.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } })
    }
    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.bytes(GPA(address), count: count, .private)
    }
    func quadword(_ address: UInt64) throws -> UInt64 {
        try bytes(address, 8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
    }

    /// Runs code at `code` until an exit.
    @discardableResult
    func run(_ bytes: [UInt8], budget: UInt64 = 1_000_000) throws -> GuestExit {
        try put(Self.code, bytes)
        processor.forgetCode()
        state.registers.rip = Self.code
        return resume(budget: budget)
    }

    @discardableResult
    func resume(budget: UInt64 = 1_000_000) -> GuestExit {
        state.budget = budget
        return processor.run(&state, memory, interruptedBy: InterruptLine())
    }
}
