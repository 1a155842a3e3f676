// Code that is changed: by itself, by another processor, through an alias; and code that crosses pages.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Code that changes, and code across pages")
struct CodeTests {
    /// Two processors of one guest.
    private struct Pair {
        let guest: GuestFixture
        let other: X86Processor
        let registry: CodeRegistry

        init() throws {
            registry = CodeRegistry()
            guest = try GuestFixture(code: registry)
            other = X86Processor(seed: 2, code: registry)
        }

        func runOther(_ rip: UInt64, rax: UInt64 = 0) -> GuestExit {
            var state = guest.state
            state.registers.rip = rip
            state.registers.rax = rax
            state.registers.rsp = 0x21_0000
            state.budget = 100_000
            return other.run(&state, guest.memory, interruptedBy: InterruptLine())
        }
        func run(_ rip: UInt64) -> UInt64 {
            guest.state.registers.rip = rip
            guest.state.registers.rsp = GuestFixture.stack
            guard guest.resume(budget: 100_000).code == .halt else { return ~0 }
            return guest.state.registers.rax
        }
    }

    private static let function: UInt64 = 0x50_0000
    private static let writer: UInt64 = 0x60_0000

    @Test("what another processor writes into decoded code is seen at the next run, again and again")
    func crossModifying() throws {
        let pair = try Pair()
        // mov eax, 1; hlt
        try pair.guest.put(Self.function, [0xb8, 0x01, 0x00, 0x00, 0x00, 0xf4])
        // mov [0x500001], eax; hlt
        try pair.guest.put(Self.writer, [0x89, 0x04, 0x25, 0x01, 0x00, 0x50, 0x00, 0xf4])
        // The writer writes before there is code: its translation allows it.
        #expect(pair.runOther(Self.writer, rax: 1).code == .halt)
        for value in [1, 2, 3, 4] as [UInt64] {
            #expect(pair.runOther(Self.writer, rax: value).code == .halt)
            #expect(pair.run(Self.function) == value)
            #expect(pair.run(Self.function) == value)
        }
    }

    @Test("a string instruction and a write across pages of another processor are seen too")
    func crossModifyingSlowly() throws {
        let pair = try Pair()
        // mov eax, 1; hlt
        try pair.guest.put(Self.function + 0xffe, [0xb8, 0x01, 0x00, 0x00, 0x00, 0xf4])
        // mov [0x500fff], eax; hlt
        try pair.guest.put(Self.writer, [0x89, 0x04, 0x25, 0xff, 0x0f, 0x50, 0x00, 0xf4])
        // mov edi, 0x500fff; mov ecx, 4; rep stosb; hlt
        try pair.guest.put(
            Self.writer + 0x100, [0xbf, 0xff, 0x0f, 0x50, 0x00, 0xb9, 0x04, 0x00, 0x00, 0x00, 0xf3, 0xaa, 0xf4])
        // mov edi, 0x501000; mov ecx, 2; stosw; hlt
        try pair.guest.put(
            Self.writer + 0x200, [0xbf, 0x00, 0x10, 0x50, 0x00, 0xb9, 0x02, 0x00, 0x00, 0x00, 0x66, 0xab, 0xf4])
        for (offset, value, result) in [(0, 0x1234, 0x1234), (0x100, 7, 0x0707_0707), (0x200, 0x8899, 0x0788_9907)]
            as [(UInt64, UInt64, UInt64)]
        {
            _ = pair.run(Self.function + 0xffe)
            #expect(pair.runOther(Self.writer + offset, rax: value).code == .halt)
            #expect(pair.run(Self.function + 0xffe) == result)
        }
    }

    @Test("one processor's write is not forgotten when a third takes note of it first")
    func threeProcessors() throws {
        let pair = try Pair()
        let third = X86Processor(seed: 3, code: pair.registry)
        // mov eax, 1; hlt
        try pair.guest.put(Self.function, [0xb8, 0x01, 0x00, 0x00, 0x00, 0xf4])
        // mov [0x500001], eax; hlt
        try pair.guest.put(Self.writer, [0x89, 0x04, 0x25, 0x01, 0x00, 0x50, 0x00, 0xf4])
        func runThird() -> UInt64 {
            var state = pair.guest.state
            state.registers.rip = Self.function
            state.budget = 100
            return third.run(&state, pair.guest.memory, interruptedBy: InterruptLine()).code == .halt
                ? state.registers.rax : ~0
        }
        #expect(pair.run(Self.function) == 1 && runThird() == 1)
        #expect(pair.runOther(Self.writer, rax: 2).code == .halt)
        #expect(runThird() == 2)
        #expect(pair.runOther(Self.writer, rax: 3).code == .halt)
        #expect(pair.run(Self.function) == 3)
        #expect(runThird() == 3)
    }

    @Test("a page that the host took and gave back with other bytes is decoded anew")
    func replaced() throws {
        let guest = try GuestFixture()
        // mov eax, 1; hlt
        try guest.put(Self.function, [0xb8, 0x01, 0x00, 0x00, 0x00, 0xf4])
        guest.state.registers.rip = Self.function
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 1)
        // Taken, given back, validated: what the guest writes there now comes by no processor.
        let pfn = GuestFixture.firstFrame + (Self.function >> 12 & ~0x1ff)
        let gpa = GPA(Self.function & ~0x1f_ffff)
        try guest.machine.rmp.rmpUpdate(pfn.address, to: .shared(.size2M))
        try guest.machine.rmp.rmpUpdate(pfn.address, to: .guest(GuestFixture.asid, at: gpa, .size2M))
        let page = GuestPage(gpa: gpa, pfn: pfn, level: .level2M)
        _ = try guest.machine.rmp.pvalidate(page, size: .size2M, validate: true, asid: GuestFixture.asid, vmpl: .vmpl0)
        // mov eax, 2; hlt
        try guest.put(Self.function, [0xb8, 0x02, 0x00, 0x00, 0x00, 0xf4])
        guest.state.registers.rip = Self.function
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 2)
    }

    @Test("a loop that writes its own page, a write through another mapping, and a write in front of RIP")
    func selfModifying() throws {
        let guest = try GuestFixture()
        // Each turn adds one to the immediate of the instruction that adds it.
        // mov ecx, 5; xor eax, eax; 1: add eax, 1; inc byte ptr [rip - 7]; dec ecx; jnz 1b; hlt
        let code: [UInt8] = [
            0xb9, 0x05, 0x00, 0x00, 0x00, 0x31, 0xc0, 0x83, 0xc0, 0x01, 0xfe, 0x05, 0xf9, 0xff, 0xff, 0xff, 0xff, 0xc9,
            0x75, 0xf3, 0xf4,
        ]
        try guest.put(GuestFixture.code, code)
        guest.state.registers.rip = GuestFixture.code
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 1 + 2 + 3 + 4 + 5)
        // 8000000 is another linear address of the same 2 MiB.
        try guest.put(GuestFixture.tables + 0x2000 + 64 * 8, quadwords: [0 << 21 | GuestFixture.cBit | 0x87])
        // call 1f; mov byte ptr [0x8100000 + 0x20], 9; call 1f; hlt; .org 0x1f; 1: mov al, 3; ret
        let alias: [UInt8] = [
            0xe8, 0x1a, 0x00, 0x00, 0x00, 0xc6, 0x04, 0x25, 0x20, 0x00, 0x10, 0x08, 0x09, 0xe8, 0x0d, 0x00, 0x00, 0x00,
            0xf4, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0x03, 0xc3,
        ]
        try guest.put(GuestFixture.code, alias)
        guest.processor.forgetCode()
        guest.state.registers.rip = GuestFixture.code
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax & 0xff == 9)
    }

    @Test("an instruction across two pages runs, faults with the second page's address, and is changed on either side")
    func crossingFetch() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.splitLastPage()
        let start = GuestFixture.lastPage + 0x5ffe
        // mov eax, 0x11223344; hlt
        try guest.put(start, [0xb8, 0x44, 0x33, 0x22, 0x11, 0xf4])
        guest.state.registers.rip = start
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 0x1122_3344)
        // The first page's part is changed by code: B8 (EAX) becomes B9 (ECX).
        // mov byte ptr [0x805ffe], 0xb9; mov byte ptr [0x806000], 0x55; mov ebx, 0x805ffe; jmp rbx
        let change: [UInt8] = [
            0xc6, 0x04, 0x25, 0xfe, 0x5f, 0x80, 0x00, 0xb9, 0xc6, 0x04, 0x25, 0x00, 0x60, 0x80, 0x00, 0x55, 0xbb, 0xfe,
            0x5f, 0x80, 0x00, 0xff, 0xe3,
        ]
        #expect(try guest.run(change).code == .halt)
        #expect(guest.state.registers.rcx == 0x1122_5544)
        try guest.setPage(6, 0)
        // mov ebx, 0x805ffe; mov rdx, cr3; mov cr3, rdx; jmp rbx
        let fault = try guest.fault([0xbb, 0xfe, 0x5f, 0x80, 0x00, 0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda, 0xff, 0xe3])
        #expect(fault == SeenFault(vector: 14, error: 0x10, rip: start, cs: 8))
        #expect(guest.state.registers.cr2 == GuestFixture.lastPage + 0x6000)
    }
}
