// Changes of privilege and of mode, and events that the host injects.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Privilege, modes and events")
struct PrivilegeTests {
    @Test("IRETQ goes to CPL 3, SYSCALL and SYSRET there and back, INT to the task's stack")
    func roundTrip() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.protectSupervisor()
        try guest.setGate(0x80, privilege: 3)
        guest.state.registers.star = 0x13 << 48 | 8 << 32
        guest.state.registers.lstar = 0x60_0000
        guest.state.registers.sfmask = 0x200
        // stc; syscall; mov rdx, rcx; pushfq; pop rbx; int 0x80
        try guest.put(GuestFixture.userCode, [0xf9, 0x0f, 0x05, 0x48, 0x89, 0xca, 0x9c, 0x5b, 0xcd, 0x80])
        // mov rsi, rcx; mov rdi, r11; pushfq; pop rbp; mov r8, cs; mov r9, ss; sysretq
        try guest.put(
            0x60_0000,
            [0x48, 0x89, 0xce, 0x4c, 0x89, 0xdf, 0x9c, 0x5d, 0x41, 0x8c, 0xc8, 0x41, 0x8c, 0xd1, 0x48, 0x0f, 0x07])
        try guest.put(
            GuestFixture.code,
            // push 0x1b; push 0x5f0000; push 0x202; push 0x23; push 0x500000; iretq
            [
                0x6a, 0x1b, 0x68, 0x00, 0x00, 0x5f, 0x00, 0x68, 0x02, 0x02, 0x00, 0x00, 0x6a, 0x23, 0x68, 0x00, 0x00,
                0x50, 0x00, 0x48, 0xcf,
            ])
        guest.state.registers.rip = GuestFixture.code
        // SYSCALL does not change RSP: the handler pushes onto the user's stack.
        #expect(guest.resume().code == .halt)
        let r = guest.state.registers
        #expect(r.rsi == GuestFixture.userCode + 3 && r.rdx == r.rsi)
        #expect(r.rdi == 0x203 && r.rbp & 0x200 == 0)
        #expect(r.r8 == 8 && r.r9 == 0x10)
        #expect(r.rbx & 0x201 == 0x201)
        #expect(try guest.seenFault() == SeenFault(vector: 0x80, error: nil, rip: GuestFixture.userCode + 10, cs: 0x23))
        #expect(r.rsp == GuestFixture.kernelStack - 40)
        #expect(try guest.quadword(r.rsp + 24) == GuestFixture.userStack)
        #expect(try guest.quadword(r.rsp + 32) == 0x1b)
        #expect(r.cpl == 0 && r.cs.selector == 8 && r.ss.selector == 0)
        #expect(r.rflags & 0x200 == 0)
    }

    @Test("SYSCALL and SYSRET without EFER.SCE are #UD; SYSRET to 32-bit code has its selectors")
    func systemCallVariants() throws {
        var guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.efer &= ~1
        // syscall
        #expect(try guest.fault([0x0f, 0x05])?.vector == 6)
        guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.star = 0x33 << 48
        guest.state.registers.rcx = GuestFixture.userCode
        guest.state.registers.r11 = 2
        // 32 bits: mov ax, cs; shl eax, 16; mov ax, ss; int3
        try guest.put(GuestFixture.userCode, [0x66, 0x8c, 0xc8, 0xc1, 0xe0, 0x10, 0x66, 0x8c, 0xd0, 0xcc])
        try guest.setGate(3, privilege: 3)
        #expect(try guest.fault([0x0f, 0x07])?.cs == 0x33)
        #expect(guest.state.registers.rax == 0x33_003b)
    }

    @Test("the host injects interrupts, NMIs, exceptions and software interrupts before the first instruction")
    func injection() throws {
        let rows: [(EventInjection.Kind, UInt8, UInt32?)] = [
            (.interrupt, 0x41, nil), (.nmi, 2, nil), (.exception, 14, 0x9), (.exception, 29, 0x64),
            (.exception, 6, nil),
            (.software, 0x80, nil),
        ]
        for (kind, vector, error) in rows {
            for atUser in [false, true] {
                let guest = try GuestFixture()
                try guest.prepareSystem()
                try guest.setGate(UInt64(vector), privilege: 3)
                guest.state.registers.rflags |= 0x200
                if atUser { guest.enterUserMode() } else { guest.state.registers.rip = GuestFixture.code }
                guest.state.event = EventInjection(kind, vector: vector, errorCode: error)
                #expect(guest.resume().code == .halt)
                #expect(!guest.state.event.isValid)
                #expect(
                    try guest.seenFault()
                        == SeenFault(
                            vector: UInt64(vector), error: error.map { UInt64($0) },
                            rip: atUser ? GuestFixture.userCode : GuestFixture.code, cs: atUser ? 0x23 : 8),
                    "\(kind) \(vector)")
                #expect(guest.state.registers.rflags & 0x200 == 0)
            }
        }
    }

    @Test("an injected event whose delivery exits is reported, and the guest is as it was")
    func injectionInterrupted() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.rsp = GuestFixture.lastPage + 0x800
        guest.nested.zap(0x800..<0xa00)
        guest.machine.epochs.flush(GuestFixture.asid)
        let event = EventInjection(.interrupt, vector: 0x41)
        guest.state.event = event
        let exit = guest.resume()
        #expect(exit.code == .nestedPageFault)
        #expect(exit.interruptInfo == event)
        #expect(guest.state.registers.rip == GuestFixture.code)
        #expect(guest.state.registers.rsp == GuestFixture.lastPage + 0x800)
    }

    @Test("a gate with an IST entry takes its stack, aligned, even without a change of privilege")
    func interruptStacks() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(6, stack: 3)
        try guest.put(GuestFixture.task + 36 + 16, quadwords: [0x23_0008])
        // ud2
        #expect(try guest.fault([0x0f, 0x0b])?.vector == 6)
        #expect(guest.state.registers.rsp == 0x23_0000 - 40)
        #expect(try guest.quadword(0x23_0000 - 16) == GuestFixture.stack)
        // At the end of the task state segment: #TS, and with both contributing #DF.
        let other = try GuestFixture()
        try other.prepareSystem()
        try other.setGate(13, stack: 7)
        other.state.registers.tr.limit = 0x40
        // mov eax, 0x80; mov ds, ax
        #expect(try other.fault([0xb8, 0x80, 0x00, 0x00, 0x00, 0x8e, 0xd8])?.vector == 8)
    }

    @Test("IRETQ checks what it returns to, and stays where it is when that fails")
    func interruptReturnFaults() throws {
        let rows: [(String, [UInt8], UInt64)] = [
            // push 0; push 0x200000; push 2; push 0; push 0x100000; iretq
            (
                "null code segment",
                [
                    0x6a, 0x00, 0x68, 0x00, 0x00, 0x20, 0x00, 0x6a, 0x02, 0x6a, 0x00, 0x68, 0x00, 0x00, 0x10, 0x00,
                    0x48, 0xcf,
                ], 0
            ),
            // push 0x10; push 0x200000; push 2; push 0x10; push 0x100000; iretq
            (
                "data as code",
                [
                    0x6a, 0x10, 0x68, 0x00, 0x00, 0x20, 0x00, 0x6a, 0x02, 0x6a, 0x10, 0x68, 0x00, 0x00, 0x10, 0x00,
                    0x48, 0xcf,
                ], 0x10
            ),
            // push 0x1b; push 0x200000; push 2; push 8; push 0x100000; iretq
            (
                "user stack for the supervisor",
                [
                    0x6a, 0x1b, 0x68, 0x00, 0x00, 0x20, 0x00, 0x6a, 0x02, 0x6a, 0x08, 0x68, 0x00, 0x00, 0x10, 0x00,
                    0x48, 0xcf,
                ], 0x18
            ),
        ]
        for (name, code, error) in rows {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            let seen = try guest.fault(code)
            #expect(
                seen == SeenFault(vector: 13, error: error, rip: GuestFixture.code + UInt64(code.count) - 2, cs: 8),
                "\(name)")
        }
    }

    @Test("from real mode at the reset vector through 32-bit protected mode into 64-bit code")
    func reset() throws {
        let guest = try GuestFixture()
        var r = VMSA()
        // As VMRUN finds a processor after reset, at a low address: CS base F0000, RIP FFF0.
        r.cs = SegmentRegister(selector: 0xf000, attributes: 0x9b, limit: 0xffff, base: 0xf_0000)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(attributes: 0x93, limit: 0xffff)
        }
        r.gdtr = SegmentRegister(limit: 0xffff)
        r.idtr = SegmentRegister(limit: 0xffff)
        r.efer = 0x1000
        r.cr0 = 0x10
        r.cr4 = 0
        r.rflags = 2
        r.rip = 0xfff0
        r.mxcsr = 0x1f80
        r.sevFeatures = [.snpActive]
        guest.state = VirtualCPUState(registers: r, intercepts: [])
        // Descriptors at F0100: 8 code32, 10 data, 18 code64; the table's register at F0180.
        try guest.put(0xf_0100, quadwords: [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff])
        try guest.put(0xf_0180, [0x1f, 0, 0x00, 0x01, 0x0f, 0x00])
        // 16 bits: .org 0xfff0 - 0xfff0; .byte 0xe9; .word 0x8000 - 0xfff3
        try guest.put(0xf_fff0, [0xe9, 0x0d, 0x80])
        try guest.put(
            0xf_8000,
            // 16 bits: cli; mov bx, 0xf000; mov ds, bx; mov byte ptr [0x200], 0x5a; lgdtd [0x180]; mov eax, cr0;
            // or al, 1; mov cr0, eax; .byte 0x66, 0xea; .long 0xf9000; .word 8
            [
                0xfa, 0xbb, 0x00, 0xf0, 0x8e, 0xdb, 0xc6, 0x06, 0x00, 0x02, 0x5a, 0x66, 0x0f, 0x01, 0x16, 0x80, 0x01,
                0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0x66, 0xea, 0x00, 0x90, 0x0f, 0x00, 0x08, 0x00,
            ])
        // Without paging, then PAE, LME, paging with the tables that have the C-bit, and 64-bit code.
        try guest.put(
            0xf_9000,
            // 32 bits: mov eax, 0x10; mov ds, eax; mov es, eax; mov ss, eax; mov esp, 0x200000; call 1f;
            // 1: pop edi; mov esi, [0xf0200]; mov eax, cr4; or eax, 0x620; mov cr4, eax; mov eax, 0xf00000;
            // mov cr3, eax; mov ecx, 0xc0000080; rdmsr; or eax, 0x100; wrmsr; mov eax, cr0; or eax, 0x80000000;
            // mov cr0, eax; mov ebp, 0x12345678; .byte 0xea; .long 0xfa000; .word 0x18
            [
                0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x00, 0x20, 0x00, 0xe8,
                0x00, 0x00, 0x00, 0x00, 0x5f, 0x8b, 0x35, 0x00, 0x02, 0x0f, 0x00, 0x0f, 0x20, 0xe0, 0x0d, 0x20, 0x06,
                0x00, 0x00, 0x0f, 0x22, 0xe0, 0xb8, 0x00, 0x00, 0xf0, 0x00, 0x0f, 0x22, 0xd8, 0xb9, 0x80, 0x00, 0x00,
                0xc0, 0x0f, 0x32, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00,
                0x80, 0x0f, 0x22, 0xc0, 0xbd, 0x78, 0x56, 0x34, 0x12, 0xea, 0x00, 0xa0, 0x0f, 0x00, 0x18, 0x00,
            ])
        // mov rax, 0x1122334455667788; mov [0x300000], rax; mov ecx, 0xc0000080; rdmsr; jmp .
        try guest.put(
            0xf_a000,
            [
                0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x30,
                0x00, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0xeb, 0xfe,
            ])
        #expect(guest.resume(budget: 2000).code == .interrupt)
        let end = guest.state.registers
        #expect(end.rdi == 0xf_9000 + 0x1c - 7 || end.rdi > 0xf_9000)
        #expect(end.rsi & 0xff == 0x5a)
        #expect(end.rbp == 0x1234_5678)
        #expect(end.rax == 0x500)
        #expect(end.cs.selector == 0x18 && end.efer & 0x500 == 0x500)
        #expect(try guest.quadword(0x30_0000) == 0x1122_3344_5566_7788)
    }

    @Test("the same RIP in 64-bit and in 32-bit code is not mixed up")
    func compatibility() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        // 40 is INC EAX in 32-bit code and a REX prefix in 64-bit code. The page is run as 64-bit code, then as 32-bit code.
        // mov eax, 7; .byte 0x40; nop; test ebx, ebx; jnz 1f; ret; 1: hlt
        try guest.put(0x50_0000, [0xb8, 0x07, 0x00, 0x00, 0x00, 0x40, 0x90, 0x85, 0xdb, 0x75, 0x01, 0xc3, 0xf4])
        try guest.put(
            GuestFixture.code,
            // mov esi, 0x500000; xor ebx, ebx; call rsi; mov ecx, eax; inc ebx; push 0x38; push rsi; .byte 0x48, 0xcb
            [
                0xbe, 0x00, 0x00, 0x50, 0x00, 0x31, 0xdb, 0xff, 0xd6, 0x89, 0xc1, 0xff, 0xc3, 0x6a, 0x38, 0x56, 0x48,
                0xcb,
            ])
        guest.state.registers.rip = GuestFixture.code
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rcx == 7)
        #expect(guest.state.registers.rax == 8)
    }
}
