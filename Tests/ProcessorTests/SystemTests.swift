// What an SNP guest asks of its host and of the RMP: #VC codes, PVALIDATE and its kin, shared pages, strings over faults.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Exits, #VC, shared pages and strings")
struct SystemTests {
    @Test("what the host intercepts is #VC with its exit code, at its own RIP")
    func communicationCodes() throws {
        let rows: [(String, [UInt8], UInt64)] = [
            // cpuid
            // in al, dx
            // in eax, 0x80
            ("cpuid", [0x0f, 0xa2], 0x72), ("in", [0xec], 0x7b), ("in imm", [0xe5, 0x80], 0x7b),
            // out dx, eax
            // rep insb
            // outsd
            ("out", [0xef], 0x7b), ("ins", [0xf3, 0x6c], 0x7b), ("outs", [0x6f], 0x7b),
            // mov ecx, 0x1b; rdmsr
            // mov ecx, 0x1b; wrmsr
            ("rdmsr", [0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32], 0x7c),
            ("wrmsr", [0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x30], 0x7c),
            // wbinvd
            // invd
            // rdpmc
            ("wbinvd", [0x0f, 0x09], 0x89), ("invd", [0x0f, 0x08], 0x76), ("rdpmc", [0x0f, 0x33], 0x6f),
            // monitor
            // mwait
            // vmmcall
            ("monitor", [0x0f, 0x01, 0xc8], 0x8a), ("mwait", [0x0f, 0x01, 0xc9], 0x8b),
            ("vmmcall", [0x0f, 0x01, 0xd9], 0x81),
            // rdtsc
            // rdtscp
            ("rdtsc", [0x0f, 0x31], 0x6e), ("rdtscp", [0x0f, 0x01, 0xf9], 0x87),
        ]
        for (name, code, expected) in rows {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            var intercepts = InterceptSet.snpGuest
            intercepts.insert(InterceptSet(.rdtsc))
            intercepts.insert(InterceptSet(.rdtscp))
            guest.state = VirtualCPUState(registers: guest.state.registers, intercepts: intercepts)
            let seen = try guest.fault(code)
            let rip = GuestFixture.code + (name.hasSuffix("msr") ? 5 : 0)
            #expect(seen == SeenFault(vector: 29, error: expected, rip: rip, cs: 8), "\(name)")
        }
    }

    @Test("HLT, VMGEXIT and PAUSE exit behind themselves; writes of EFER and CR0 after they are made")
    func exits() throws {
        let rows: [(String, [UInt8], ExitCode, UInt64)] = [
            // hlt
            ("hlt", [0xf4], .halt, 1), ("vmgexit", [0xf3, 0x0f, 0x01, 0xd9], .vmgexit, 4),
            // mov ecx, 3000; pause; dec ecx; jnz to the pause: the filter lets all but the last pass
            ("pause", [0xb9, 0xb8, 0x0b, 0x00, 0x00, 0xf3, 0x90, 0xff, 0xc9, 0x75, 0xfa], .pause, 7),
            // mov ecx, 0xc0000080; mov eax, 0x500; xor edx, edx; wrmsr
            (
                "efer", [0xb9, 0x80, 0x00, 0x00, 0xc0, 0xb8, 0x00, 0x05, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30],
                .eferWriteTrap, 14
            ),
            // mov eax, 0x80000031; mov cr0, rax
            ("cr0", [0xb8, 0x31, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0], .controlRegisterWriteTrap(0), 8),
            // mov eax, 0x620; mov cr4, rax
            ("cr4", [0xb8, 0x20, 0x06, 0x00, 0x00, 0x0f, 0x22, 0xe0], .controlRegisterWriteTrap(4), 8),
        ]
        for (name, code, expected, length) in rows {
            let guest = try GuestFixture()
            // ud2
            #expect(try guest.run(code + [0x0f, 0x0b]).code == expected, "\(name)")
            #expect(guest.state.registers.rip == GuestFixture.code + length, "\(name)")
        }
        let guest = try GuestFixture()
        // mov eax, 0x80000031; mov cr0, rax
        #expect(try guest.run([0xb8, 0x31, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0]).info1 == 0x8000_0031)
        #expect(guest.state.registers.cr0 == 0x8000_0031)
    }

    @Test("the time-stamp counter only grows, over runs too, and carries its offset")
    func timeStamp() throws {
        let guest = try GuestFixture()
        guest.state.registers.tscOffset = 1 << 40
        var last: UInt64 = 0
        for _ in 0..<3 {
            // rdtsc; mov ebx, eax; mov ecx, edx; nop; rdtsc; hlt
            try guest.run([0x0f, 0x31, 0x89, 0xc3, 0x89, 0xd1, 0x90, 0x0f, 0x31, 0xf4])
            let r = guest.state.registers
            let (first, second) = (r.rcx << 32 | r.rbx, r.rdx << 32 | r.rax)
            #expect(first > last && second > first)
            #expect(first >> 40 == 1)
            last = second
        }
    }

    @Test("PVALIDATE, RMPADJUST and RMPQUERY return what the RMP says")
    func instructions() throws {
        let pvalidate: [UInt8] = [0xf2, 0x0f, 0x01, 0xff]
        let rmpadjust: [UInt8] = [0xf3, 0x0f, 0x01, 0xfe]
        let rmpquery: [UInt8] = [0xf3, 0x0f, 0x01, 0xfd]
        func run(_ code: [UInt8], _ rcx: UInt64, _ rdx: UInt64, at address: UInt64 = 0x60_0000) throws -> (VMSA, Bool) {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            guest.state.registers.rax = address
            guest.state.registers.rcx = rcx
            guest.state.registers.rdx = rdx
            #expect(try guest.run(code + [0xf4]).code == .halt)
            return (guest.state.registers, guest.state.registers.rip == GuestFixture.code + 5)
        }
        // Already valid: success with CF. Taken back: success without.
        var (r, done) = try run(pvalidate, 1, 1)
        #expect(done && r.rax == 0 && r.rflags & 1 == 1)
        (r, done) = try run(pvalidate, 1, 0)
        #expect(done && r.rax == 0 && r.rflags & 1 == 0)
        // No such size.
        (r, done) = try run(pvalidate, 2, 1)
        #expect(done && r.rax == 1)
        // VMPL1 gets read and write of the 2 MiB page; VMPL0 itself may not be named.
        (r, done) = try run(rmpadjust, 1, 1 | 3 << 8)
        #expect(done && r.rax == 0)
        (r, done) = try run(rmpadjust, 1, 0 | 3 << 8)
        #expect(done && r.rax == 2)
        (r, done) = try run(rmpadjust, 3, 1 | 3 << 8)
        #expect(done && r.rax == 1)
        (r, done) = try run(rmpadjust + [0x48, 0xc7, 0xc0, 0, 0, 0x60, 0] + rmpquery, 1, 1 | 3 << 8)
        #expect(r.rax == 0 && r.rdx == 1 | 3 << 8 && r.rcx == 1)
        // An address that is not mapped is a page fault.
        let guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.rax = 0x4000_0000
        #expect(try guest.fault(pvalidate)?.vector == 14)
        #expect(guest.state.registers.cr2 == 0x4000_0000)
    }

    @Test("a repeated string instruction that faults has done what it did, and goes on from there")
    func strings() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.splitLastPage()
        for (index, value) in (0..<0x40 as Range<UInt8>).enumerated() {
            try guest.put(0x30_0000 + UInt64(index), [value])
        }
        try guest.setPage(6, 0)
        guest.state.registers.rsi = 0x30_0000
        guest.state.registers.rdi = GuestFixture.lastPage + 0x5ff0
        guest.state.registers.rcx = 0x30
        // rep movsb; mov eax, 0x77; hlt
        let seen = try guest.fault([0xf3, 0xa4, 0xb8, 0x77, 0x00, 0x00, 0x00, 0xf4])
        #expect(seen == SeenFault(vector: 14, error: 2, rip: GuestFixture.code, cs: 8))
        #expect(guest.state.registers.rcx == 0x20)
        #expect(guest.state.registers.rsi == 0x30_0010)
        #expect(guest.state.registers.rdi == GuestFixture.lastPage + 0x6000)
        #expect(guest.state.registers.cr2 == GuestFixture.lastPage + 0x6000)
        // The handler maps the page and returns.
        try guest.setPage(6, 7)
        // add rsp, 8; iretq
        try guest.put(GuestFixture.handlers + 14 * 16 + 1, [0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf])
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 0x77)
        #expect(guest.state.registers.rcx == 0)
        #expect(try guest.bytes(GuestFixture.lastPage + 0x5ff0, 0x30) == Array(0..<0x30))
        // Backwards, words across the page's start, comparing until they differ.
        guest.state.registers.rsi = 0x30_002f
        guest.state.registers.rdi = GuestFixture.lastPage + 0x601f
        guest.state.registers.rcx = 0x100
        try guest.put(GuestFixture.lastPage + 0x5ff4, [0xee])
        // std; repe cmpsb; cld; hlt
        #expect(try guest.run([0xfd, 0xf3, 0xa6, 0xfc, 0xf4]).code == .halt)
        #expect(guest.state.registers.rdi == GuestFixture.lastPage + 0x5ff3)
        #expect(guest.state.registers.rcx == 0x100 - 0x2c)
        // A budget that ends within stops it between two elements.
        guest.state.registers.rdi = GuestFixture.lastPage
        guest.state.registers.rcx = 0x1000
        // mov al, 0x5a; rep stosb; hlt
        #expect(try guest.run([0xb0, 0x5a, 0xf3, 0xaa, 0xf4]).code == .halt)
        #expect(try guest.bytes(GuestFixture.lastPage, 0x1000) == [UInt8](repeating: 0x5a, count: 0x1000))
    }

    @Test("segment bases of FS and GS, SWAPGS, and the counter of undefined instructions")
    func bases() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.put(0x30_0010, quadwords: [0x5151])
        try guest.put(0x31_0010, quadwords: [0x5252])
        guest.state.registers.gs.base = 0x30_0000
        guest.state.registers.kernelGSBase = 0x31_0000
        // mov rax, gs:[0x10]; swapgs; mov rbx, gs:[0x10]; mov ecx, 0xc0000102; rdmsr; hlt
        try guest.run([
            0x65, 0x48, 0x8b, 0x04, 0x25, 0x10, 0x00, 0x00, 0x00, 0x0f, 0x01, 0xf8, 0x65, 0x48, 0x8b, 0x1c, 0x25, 0x10,
            0x00, 0x00, 0x00, 0xb9, 0x02, 0x01, 0x00, 0xc0, 0x0f, 0x32, 0xf4,
        ])
        #expect(guest.state.registers.rbx == 0x5252)
        #expect(guest.state.registers.rax == 0x30_0000)
        #expect(guest.state.registers.gs.base == 0x31_0000)
        #expect(try guest.fault([0xc5, 0xf8, 0x77])?.vector == 6)
        #expect(!guest.processor.counts.undefined.isEmpty)
    }
}
