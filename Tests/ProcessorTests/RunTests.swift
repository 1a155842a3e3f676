// Whole programs on the processor: loops, calls, faults, code that changes itself.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Guest code runs")
struct RunTests {
    @Test("a loop adds up, and HLT leaves behind itself")
    func loop() throws {
        let guest = try GuestFixture()
        // xor eax,eax; mov ecx,100; 1: add rax,rcx; dec ecx; jnz 1b; hlt
        let code: [UInt8] = [0x31, 0xc0, 0xb9, 100, 0, 0, 0, 0x48, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0xf4]
        let exit = try guest.run(code)
        #expect(exit.code == .halt)
        #expect(guest.state.registers.rax == 5050)
        #expect(guest.state.registers.rip == GuestFixture.code + UInt64(code.count))
        #expect(guest.processor.counts.instructions == 2 + 300 + 1)
    }

    @Test("calls and returns use the stack, and the budget stops an endless loop")
    func callsAndBudget() throws {
        let guest = try GuestFixture()
        // call 1f; jmp .; 1: mov eax,7; ret
        let exit = try guest.run([0xe8, 2, 0, 0, 0, 0xeb, 0xfe, 0xb8, 7, 0, 0, 0, 0xc3], budget: 1000)
        #expect(exit.code == .interrupt)
        #expect(guest.state.registers.rax == 7)
        #expect(guest.state.registers.rsp == GuestFixture.stack)
        #expect(guest.state.registers.rip == GuestFixture.code + 5)
        #expect(guest.processor.counts.instructions >= 1000)
    }

    @Test("a write that crosses a page reaches both pages")
    func crossing() throws {
        let guest = try GuestFixture()
        guest.state.registers.rbx = 0x30_0ffd
        guest.state.registers.rax = 0x1122_3344_5566_7788
        // mov [rbx],rax; mov rcx,[rbx]; add word [rbx+2],1; hlt
        try guest.run([0x48, 0x89, 0x03, 0x48, 0x8b, 0x0b, 0x66, 0x83, 0x43, 2, 1, 0xf4])
        #expect(guest.state.registers.rcx == 0x1122_3344_5566_7788)
        #expect(try guest.bytes(0x30_0ffd, 8) == [0x88, 0x77, 0x67, 0x55, 0x44, 0x33, 0x22, 0x11])
    }

    @Test("code that changes itself runs as changed")
    func selfModifying() throws {
        let guest = try GuestFixture()
        // mov byte [rip+1],5 ; (mov eax, imm32 right behind: its immediate is changed) ; hlt
        let code: [UInt8] = [0xc6, 0x05, 1, 0, 0, 0, 5, 0xb8, 1, 0, 0, 0, 0xf4]
        try guest.run(code)
        #expect(guest.state.registers.rax == 5)
        // Again, with the block known: first set back by hand.
        try guest.run(code)
        #expect(guest.state.registers.rax == 5)
    }

    @Test("a page fault reaches the handler with address and error code, and IRETQ comes back")
    func pageFault() throws {
        let guest = try GuestFixture()
        try guest.installHandlers()
        guest.state.registers.rbx = 0x4000_0000
        // mov rax,[rbx]; hlt. The handler maps nothing: it moves RBX to memory that is there.
        try guest.put(0x40_0000, [0x48, 0xc7, 0xc3, 0, 0, 0x30, 0, 0x48, 0x83, 0xc4, 8, 0x48, 0xcf])
        try guest.put(0x30_0000, quadwords: [0x1234])
        try guest.setGate(14, to: 0x40_0000)
        let exit = try guest.run([0x48, 0x8b, 0x03, 0xf4])
        #expect(exit.code == .halt)
        #expect(guest.state.registers.cr2 == 0x4000_0000)
        #expect(guest.state.registers.rax == 0x1234)
        #expect(guest.processor.counts.exceptions[14] == 1)
    }

    @Test("a store across two pages may take away the table entry of the second")
    func crossingIntoTables() throws {
        let guest = try GuestFixture()
        // At 1 GiB: the page before the last of 2 MiB is the page table itself, the last one is data.
        let (directory, table): (UInt64, UInt64) = (0xf0_4000, 0xf0_5000)
        try guest.put(GuestFixture.tables + 0x1008, quadwords: [directory | GuestFixture.cBit | 7])
        try guest.put(directory, quadwords: [table | GuestFixture.cBit | 7])
        try guest.put(
            table + 510 * 8, quadwords: [table | GuestFixture.cBit | 7, 0x30_0000 | GuestFixture.cBit | 7])
        try guest.put(0x30_0000, quadwords: [~0, ~0])
        guest.state.registers.rbx = 0x401f_eff8
        // xorps xmm0, xmm0; movups [rbx], xmm0; hlt
        let exit = try guest.run([0x0f, 0x57, 0xc0, 0x0f, 0x11, 0x03, 0xf4])
        #expect(exit.code == .halt)
        #expect(try guest.quadword(table + 511 * 8) == 0)
        #expect(try guest.quadword(0x30_0000) == 0)
        #expect(try guest.quadword(0x30_0008) == ~0)
    }

    @Test("#VC whose interrupt table is not validated becomes a triple fault")
    func communicationWithoutTable() throws {
        let guest = try GuestFixture()
        try guest.installHandlers()
        guest.state.registers.idtr.base = 0x60_0000
        // mov ecx, 1; mov eax, 0x600000; xor edx, edx; pvalidate; cpuid
        let exit = try guest.run([
            0xb9, 1, 0, 0, 0, 0xb8, 0, 0, 0x60, 0, 0x31, 0xd2, 0xf2, 0x0f, 0x01, 0xff, 0x0f, 0xa2,
        ])
        #expect(exit.code == .shutdown)
    }

    @Test("a guest whose handler faults for ever comes to the end of its turn")
    func endlessFaults() throws {
        let guest = try GuestFixture()
        try guest.installHandlers()
        // The handler of #PF is not mapped, and its stack, of the task's table, is always the same.
        let task: UInt64 = 0xe0_2000
        try guest.put(task + 36, quadwords: [GuestFixture.stack])
        guest.state.registers.tr = SegmentRegister(selector: 24, attributes: 0x8b, limit: 0x67, base: task)
        try guest.setGate(14, to: 0x4000_0000)
        try guest.put(0xe0_0000 + 14 * 16 + 4, [1])
        guest.state.registers.rbx = 0x4000_0000
        let exit = try guest.run([0x48, 0x8b, 0x03, 0xf4], budget: 1000)
        #expect(exit.code == .interrupt)
        #expect(guest.processor.counts.exceptions[14, default: 0] >= 999)
    }

    @Test("without an interrupt table a fault becomes a triple fault")
    func tripleFault() throws {
        let guest = try GuestFixture()
        guest.state.registers.rbx = 0x4000_0000
        let exit = try guest.run([0x48, 0x8b, 0x03, 0xf4])
        #expect(exit.code == .shutdown)
    }

    @Test("CPUID is #VC with its exit code; VMGEXIT leaves")
    func communication() throws {
        let guest = try GuestFixture()
        try guest.installHandlers()
        // pop rax (the error code); hlt
        try guest.put(0x40_0000, [0x58, 0xf4])
        try guest.setGate(29, to: 0x40_0000)
        try guest.run([0x0f, 0xa2, 0xf4])
        #expect(guest.state.registers.rax == 0x72)
        let other = try GuestFixture()
        let exit = try other.run([0xf3, 0x0f, 0x01, 0xd9, 0xf4])
        #expect(exit.code == .vmgexit)
        #expect(other.state.registers.rip == GuestFixture.code + 4)
    }

    @Test("PVALIDATE of a page that is valid sets CF; an access to an unvalidated page is #VC 404")
    func validation() throws {
        let guest = try GuestFixture()
        try guest.installHandlers()
        try guest.put(0x40_0000, [0x58, 0xf4])
        try guest.setGate(29, to: 0x40_0000)
        // 2 MiB at 0x600000: mov ecx,1; pvalidate with edx=1 -> CF; setc bl; edx=0; pvalidate; setc bh; mov r8,[rax]
        guest.state.registers.rdx = 1
        let code: [UInt8] = [
            0xb8, 0, 0, 0x60, 0, 0xb9, 1, 0, 0, 0, 0xf2, 0x0f, 0x01, 0xff, 0x0f, 0x92, 0xc3, 0x31, 0xd2, 0xb8, 0, 0,
            0x60, 0,
            0xf2, 0x0f, 0x01, 0xff, 0x0f, 0x92, 0xc7, 0xb8, 0, 0, 0x60, 0, 0x4c, 0x8b, 0x00, 0xf4,
        ]
        try guest.run(code)
        #expect(guest.state.registers.rbx & 0xffff == 1)
        #expect(guest.state.registers.rax == 0x404)
    }

    @Test("a page that the host took away is a nested page fault with the address, and the access is repeated")
    func nestedFault() throws {
        let guest = try GuestFixture()
        guest.state.registers.rbx = 0x80_0000
        try guest.run([0x48, 0x8b, 0x03, 0xf4])
        guest.nested.zap(0x800..<0xa00)
        guest.machine.epochs.flush(GuestFixture.asid)
        let exit = try guest.run([0x48, 0x8b, 0x03, 0xf4])
        #expect(exit.code == .nestedPageFault)
        #expect(exit.info2 == 0x80_0000)
        #expect(guest.state.registers.rip == GuestFixture.code)
        try guest.nested.map(0x800, to: GuestFixture.firstFrame + 0x800, level: .level2M, flags: .guest)
        #expect(guest.resume().code == .halt)
    }

    @Test("a flush of this processor's nested TLB alone, as VMRUN's TLB_CONTROL asks for, reaches data and code")
    func nestedFlush() throws {
        let guest = try GuestFixture()
        guest.state.registers.rbx = 0x80_0000
        try guest.run([0x48, 0x8b, 0x03, 0xf4])
        guest.nested.zap(0x800..<0xa00)
        guest.memory.tlb.flush()
        guest.state.registers.rip = GuestFixture.code
        #expect(guest.resume().code == .nestedPageFault)
        try guest.nested.map(0x800, to: GuestFixture.firstFrame + 0x800, level: .level2M, flags: .guest)
        #expect(guest.resume().code == .halt)
        // The code's own page: GPA 0x10_0000.
        guest.nested.zap(0..<0x200)
        guest.memory.tlb.flush()
        guest.state.registers.rip = GuestFixture.code
        let exit = guest.resume()
        #expect(exit.code == .nestedPageFault && exit.info2 == GuestFixture.code)
    }
}

extension GuestFixture {
    /// An interrupt table without gates, a descriptor table with flat code and data.
    func installHandlers() throws {
        try put(Self.gdt, quadwords: [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff])
        state.registers.gdtr = SegmentRegister(limit: 0x17, base: Self.gdt)
        state.registers.idtr = SegmentRegister(limit: 0xfff, base: Self.idt)
    }

    /// An interrupt gate at CPL 0.
    func setGate(_ vector: UInt64, to handler: UInt64) throws {
        let low = handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48
        try put(Self.idt + vector * 16, quadwords: [low, handler >> 32])
    }
}
