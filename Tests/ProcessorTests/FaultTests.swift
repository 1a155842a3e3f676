// Faults of pages and addresses: which vector, which error code, which address, and where the guest stood.

import Machine
import Processor
import SNPArchitecture
import Testing

/// An access to the split 2 MiB and what becomes of it.
struct PageFaultCase: Sendable, CustomStringConvertible {
    var description: String
    var flags: UInt64
    var access: Access
    var isUser = false
    var cr0: UInt64 = 0x8001_0031
    var cr4: UInt64 = 0x6a0
    var alignmentCheck = false
    /// Nil: nothing happens.
    var error: UInt64?
    enum Access: Sendable { case read, write, fetch }
    static let noExecute: UInt64 = 1 << 63

    static let all: [Self] = [
        Self(description: "a read of a page that is not present", flags: 0, access: .read, error: 0),
        Self(description: "a write to a page that is not present", flags: 0, access: .write, error: 2),
        Self(description: "a fetch from a page that is not present", flags: 0, access: .fetch, error: 0x10),
        Self(description: "a user's read of nothing", flags: 0, access: .read, isUser: true, error: 4),
        Self(description: "a user's write to nothing", flags: 0, access: .write, isUser: true, error: 6),
        Self(description: "a user's fetch from nothing", flags: 0, access: .fetch, isUser: true, error: 0x14),
        Self(description: "a user's read of a supervisor page", flags: 3, access: .read, isUser: true, error: 5),
        Self(description: "a user's write to a supervisor page", flags: 3, access: .write, isUser: true, error: 7),
        Self(description: "a user's fetch from a supervisor page", flags: 3, access: .fetch, isUser: true, error: 0x15),
        Self(description: "a user's write to a read-only page", flags: 5, access: .write, isUser: true, error: 7),
        Self(description: "a user's read of a read-only page", flags: 5, access: .read, isUser: true),
        Self(description: "a supervisor's write to a read-only page with WP", flags: 1, access: .write, error: 3),
        Self(
            description: "a supervisor's write to a read-only page without WP", flags: 1, access: .write,
            cr0: 0x8000_0031),
        Self(
            description: "a user's write to a read-only page without WP", flags: 5, access: .write, isUser: true,
            cr0: 0x8000_0031, error: 7),
        Self(description: "a fetch from a page with NX", flags: 3 | noExecute, access: .fetch, error: 0x11),
        Self(description: "a read of a page with NX", flags: 3 | noExecute, access: .read),
        Self(
            description: "a user's fetch from a page with NX", flags: 7 | noExecute, access: .fetch, isUser: true,
            error: 0x15),
        Self(
            description: "a supervisor's fetch from a user page with SMEP", flags: 7, access: .fetch, cr4: 0x10_06a0,
            error: 0x11),
        Self(description: "a supervisor's fetch from a user page without SMEP", flags: 7, access: .fetch),
        Self(
            description: "a user's fetch from a user page with SMEP", flags: 7, access: .fetch, isUser: true,
            cr4: 0x10_06a0),
        Self(
            description: "a supervisor's read of a user page with SMAP", flags: 7, access: .read, cr4: 0x20_06a0,
            error: 1),
        Self(
            description: "a supervisor's write to a user page with SMAP", flags: 7, access: .write, cr4: 0x20_06a0,
            error: 3),
        Self(
            description: "a supervisor's read of a user page with SMAP and AC", flags: 7, access: .read, cr4: 0x20_06a0,
            alignmentCheck: true),
        Self(description: "a supervisor's read of its own page with SMAP", flags: 3, access: .read, cr4: 0x20_06a0),
        Self(
            description: "a user's read of a user page with SMAP", flags: 7, access: .read, isUser: true,
            cr4: 0x20_06a0),
    ]
}

@Suite("Faults of pages and addresses")
struct FaultTests {
    @Test("page faults: error code, CR2 and RIP", arguments: PageFaultCase.all)
    func pageFaults(_ row: PageFaultCase) throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.protectSupervisor()
        try guest.splitLastPage()
        // hlt
        try guest.put(GuestFixture.lastPage + 0x5000, [0xf4])
        // ud2
        if row.isUser { try guest.put(GuestFixture.lastPage + 0x5000, [0x0f, 0x0b]) }
        try guest.setPage(5, row.flags)
        guest.state.registers.cr0 = row.cr0
        guest.state.registers.cr4 = row.cr4
        if row.alignmentCheck { guest.state.registers.rflags |= 1 << 18 }
        guest.state.registers.rbx = GuestFixture.lastPage + 0x5000
        let code: [UInt8]
        switch row.access {
        // mov rax, [rbx]; ud2
        // mov rax, [rbx]; hlt
        case .read: code = row.isUser ? [0x48, 0x8b, 0x03, 0x0f, 0x0b] : [0x48, 0x8b, 0x03, 0xf4]
        // mov [rbx], rax; ud2
        // mov [rbx], rax; hlt
        case .write: code = row.isUser ? [0x48, 0x89, 0x03, 0x0f, 0x0b] : [0x48, 0x89, 0x03, 0xf4]
        // jmp rbx
        case .fetch: code = [0xff, 0xe3]
        }
        let seen = try guest.fault(code, atUser: row.isUser)
        let start = row.isUser ? GuestFixture.userCode : GuestFixture.code
        if let error = row.error {
            let rip = row.access == .fetch ? GuestFixture.lastPage + 0x5000 : start
            #expect(seen == SeenFault(vector: 14, error: error, rip: rip, cs: row.isUser ? 0x23 : 8))
            #expect(guest.state.registers.cr2 == GuestFixture.lastPage + 0x5000)
        } else if row.isUser {
            #expect(seen?.vector == 6)
        } else {
            #expect(seen == nil)
            #expect(guest.processor.counts.exceptions.isEmpty)
        }
    }

    @Test("accessed and dirty bits are set by the access that needs them, at every level")
    func marks() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.splitLastPage()
        guest.state.registers.rbx = GuestFixture.lastPage + 0x5000
        // mov rax, [rbx]; hlt
        try guest.run([0x48, 0x8b, 0x03, 0xf4])
        #expect(try guest.pageEntry(5) & 0x60 == 0x20)
        #expect(try guest.pageEntry(6) & 0x60 == 0)
        #expect(try guest.quadword(GuestFixture.tables) & 0x20 == 0x20)
        #expect(try guest.quadword(GuestFixture.tables + 0x1000) & 0x20 == 0x20)
        #expect(try guest.quadword(GuestFixture.tables + 0x2020) & 0x20 == 0x20)
        // A read and then a write in one run: the write must not be hidden by the read's translation.
        // mov rax, [rbx]; mov [rbx], rax; mov rcx, [rbx+0x1000]; hlt
        try guest.run([0x48, 0x8b, 0x03, 0x48, 0x89, 0x03, 0x48, 0x8b, 0x8b, 0x00, 0x10, 0x00, 0x00, 0xf4])
        #expect(try guest.pageEntry(5) & 0x60 == 0x60)
        #expect(try guest.pageEntry(6) & 0x60 == 0x20)
        // A write that faults marks nothing.
        try guest.setPage(7, 1)
        // mov [rbx+0x2000], rax; hlt
        #expect(try guest.fault([0x48, 0x89, 0x83, 0x00, 0x20, 0x00, 0x00, 0xf4])?.error == 3)
        #expect(try guest.pageEntry(7) & 0x40 == 0)
    }

    @Test("addresses that are not canonical are #GP, and #SS through the stack")
    func canonical() throws {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.rbx = 0x8000_0000_0000
        let code = GuestFixture.code
        // mov rax, [rbx]
        #expect(try guest.fault([0x48, 0x8b, 0x03]) == SeenFault(vector: 13, error: 0, rip: code, cs: 8))
        guest.state.registers.rsp = GuestFixture.stack
        // mov [rbx-4], rax
        #expect(try guest.fault([0x48, 0x89, 0x43, 0xfc]) == SeenFault(vector: 13, error: 0, rip: code, cs: 8))
        guest.state.registers.rsp = GuestFixture.stack
        // jmp rbx
        #expect(try guest.fault([0xff, 0xe3])?.vector == 13)
        // The handler of #SS needs a stack of its own.
        guest.state.registers.rsp = GuestFixture.stack
        try guest.setGate(12, stack: 1)
        try guest.put(GuestFixture.task + 36, quadwords: [0x22_0000])
        guest.state.registers.rsp = GuestFixture.stack
        guest.state.registers.rbp = 0x8000_0000_0000
        // mov rax, [rbp]
        #expect(try guest.fault([0x48, 0x8b, 0x45, 0x00]) == SeenFault(vector: 12, error: 0, rip: code, cs: 8))
    }

    @Test("privileged instructions at CPL 3 are #GP, at their own RIP")
    func privilege() throws {
        let rows: [(String, [UInt8])] = [
            // hlt
            // cli
            // sti
            // rdmsr
            ("hlt", [0xf4]), ("cli", [0xfa]), ("sti", [0xfb]), ("rdmsr", [0x0f, 0x32]),
            // wrmsr
            // mov rax, cr0
            // mov cr3, rax
            ("wrmsr", [0x0f, 0x30]), ("mov from cr0", [0x0f, 0x20, 0xc0]), ("mov to cr3", [0x0f, 0x22, 0xd8]),
            // mov dr7, rax
            // lgdt [rsp]
            // lidt [rsp]
            ("mov to dr7", [0x0f, 0x23, 0xf8]), ("lgdt", [0x0f, 0x01, 0x14, 0x24]), ("lidt", [0x0f, 0x01, 0x1c, 0x24]),
            // lldt ax
            // ltr ax
            // invlpg [rax]
            ("lldt", [0x0f, 0x00, 0xd0]), ("ltr", [0x0f, 0x00, 0xd8]), ("invlpg", [0x0f, 0x01, 0x38]),
            // wbinvd
            // invd
            // clts
            // lmsw ax
            ("wbinvd", [0x0f, 0x09]), ("invd", [0x0f, 0x08]), ("clts", [0x0f, 0x06]), ("lmsw", [0x0f, 0x01, 0xf0]),
            // swapgs
            // sysretq
            // in al, 0x60
            ("swapgs", [0x0f, 0x01, 0xf8]), ("sysret", [0x48, 0x0f, 0x07]), ("in", [0xe4, 0x60]),
            // out dx, al
            ("out", [0xee]), ("pvalidate", [0xf2, 0x0f, 0x01, 0xff]), ("rmpadjust", [0xf3, 0x0f, 0x01, 0xfe]),
        ]
        for (name, code) in rows {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            let seen = try guest.fault(code, atUser: true)
            #expect(seen == SeenFault(vector: 13, error: 0, rip: GuestFixture.userCode, cs: 0x23), "\(name)")
        }
    }

    @Test("#GP tells the selector or the gate, and INT that fails stands at itself")
    func selectors() throws {
        let code = GuestFixture.code
        let rows: [(String, Bool, [UInt8], SeenFault)] = [
            // mov eax, 0x80; mov ds, ax
            (
                "a selector beyond the table", false, [0xb8, 0x80, 0x00, 0x00, 0x00, 0x8e, 0xd8],
                SeenFault(vector: 13, error: 0x80, rip: code + 5, cs: 8)
            ),
            // mov eax, 0x8; mov ss, ax
            (
                "a code segment as stack", false, [0xb8, 0x08, 0x00, 0x00, 0x00, 0x8e, 0xd0],
                SeenFault(vector: 13, error: 8, rip: code + 5, cs: 8)
            ),
            // int 0x30
            (
                "INT through a gate for CPL 0", true, [0xcd, 0x30],
                SeenFault(vector: 13, error: 0x30 * 8 + 2, rip: GuestFixture.userCode, cs: 0x23)
            ),
            // mov eax, 0x80000000; mov cr0, rax
            (
                "paging without protection", false, [0xb8, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
            // mov eax, 0x31; mov cr0, rax
            (
                "leaving long mode from 64-bit code", false, [0xb8, 0x31, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xc0],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
            // mov eax, 0x680; mov cr4, rax
            (
                "clearing PAE in long mode", false, [0xb8, 0x80, 0x06, 0x00, 0x00, 0x0f, 0x22, 0xe0],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
            // mov eax, 0x80000620; mov cr4, rax
            (
                "a reserved bit of CR4", false, [0xb8, 0x20, 0x06, 0x00, 0x80, 0x0f, 0x22, 0xe0],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
            // mov ecx, 0xc0000080; mov eax, 0x801; xor edx, edx; wrmsr
            (
                "clearing LME with paging on", false,
                [0xb9, 0x80, 0x00, 0x00, 0xc0, 0xb8, 0x01, 0x08, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30],
                SeenFault(vector: 13, error: 0, rip: code + 12, cs: 8)
            ),
            // mov ecx, 0xc0000100; xor eax, eax; mov edx, 0x8000; wrmsr
            (
                "a base that is not canonical", false,
                [0xb9, 0x00, 0x01, 0x00, 0xc0, 0x31, 0xc0, 0xba, 0x00, 0x80, 0x00, 0x00, 0x0f, 0x30],
                SeenFault(vector: 13, error: 0, rip: code + 12, cs: 8)
            ),
            // nop
            (
                "LOCK before a register form", false, [0x90] + [0xf0, 0x48, 0x01, 0xc3],
                SeenFault(vector: 6, error: nil, rip: code + 1, cs: 8)
            ),
            ("LOCK before MOV", false, [0xf0, 0x48, 0x89, 0x03], SeenFault(vector: 6, error: nil, rip: code, cs: 8)),
            ("LOCK before CMP", false, [0xf0, 0x48, 0x39, 0x03], SeenFault(vector: 6, error: nil, rip: code, cs: 8)),
            (
                "LOCK before BT", false, [0xf0, 0x48, 0x0f, 0xa3, 0x03],
                SeenFault(vector: 6, error: nil, rip: code, cs: 8)
            ),
            (
                "sixteen bytes of prefixes", false, [UInt8](repeating: 0x66, count: 15) + [0x90],
                SeenFault(vector: 13, error: 0, rip: code, cs: 8)
            ),
            // nop; ud2
            ("UD2", false, [0x90, 0x0f, 0x0b], SeenFault(vector: 6, error: nil, rip: code + 1, cs: 8)),
            // xor ecx, ecx; div ecx
            (
                "a division by zero", false, [0x31, 0xc9, 0xf7, 0xf1],
                SeenFault(vector: 0, error: nil, rip: code + 2, cs: 8)
            ),
            // int3
            ("INT3", false, [0xcc], SeenFault(vector: 3, error: nil, rip: code + 1, cs: 8)),
            // mov ebx, 0x300001; movaps xmm0, [rbx]
            (
                "an unaligned operand of MOVAPS", false, [0xbb, 0x01, 0x00, 0x30, 0x00, 0x0f, 0x28, 0x03],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
            // mov ebx, 0x300008; lock cmpxchg16b [rbx]
            (
                "CMPXCHG16B unaligned", false, [0xbb, 0x08, 0x00, 0x30, 0x00, 0xf0, 0x48, 0x0f, 0xc7, 0x0b],
                SeenFault(vector: 13, error: 0, rip: code + 5, cs: 8)
            ),
        ]
        for (name, atUser, bytes, expected) in rows {
            let guest = try GuestFixture()
            try guest.prepareSystem()
            let seen = try guest.fault(bytes, atUser: atUser)
            #expect(seen == expected, "\(name)")
        }
    }

    @Test("LOCK is allowed on what may have it")
    func locked() throws {
        let guest = try GuestFixture()
        guest.state.registers.rbx = 0x30_0000
        try guest.put(0x30_0000, quadwords: [5, 0])
        // mov eax, 5; mov ecx, 9; lock cmpxchg [rbx], rcx; lock xadd [rbx], rax; lock inc qword ptr [rbx];
        // lock bts qword ptr [rbx], 8; xchg [rbx+8], rcx; hlt
        let exit = try guest.run([
            0xb8, 0x05, 0x00, 0x00, 0x00, 0xb9, 0x09, 0x00, 0x00, 0x00, 0xf0, 0x48, 0x0f, 0xb1, 0x0b, 0xf0, 0x48, 0x0f,
            0xc1, 0x03, 0xf0, 0x48, 0xff, 0x03, 0xf0, 0x48, 0x0f, 0xba, 0x2b, 0x08, 0x48, 0x87, 0x4b, 0x08, 0xf4,
        ])
        #expect(exit.code == .halt)
        #expect(try guest.quadword(0x30_0000) == 9 + 5 + 1 | 0x100)
        #expect(try guest.quadword(0x30_0008) == 9)
    }

    @Test("a second fault on the way into a handler is a double fault if both contribute, and a third ends the guest")
    func doubleFaults() throws {
        // #PF with its gate not present: #NP contributes, so #DF.
        var guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(14, isPresent: false)
        guest.state.registers.rbx = 0x4000_0000
        let code = GuestFixture.code
        // mov rax, [rbx]
        #expect(try guest.fault([0x48, 0x8b, 0x03]) == SeenFault(vector: 8, error: 0, rip: code, cs: 8))
        // The same without a gate for #DF.
        guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(14, isPresent: false)
        try guest.setGate(8, isPresent: false)
        guest.state.registers.rbx = 0x4000_0000
        // mov rax, [rbx]
        #expect(try guest.run([0x48, 0x8b, 0x03]).code == .shutdown)
        #expect(guest.state.registers.rip == code)
        // #UD is benign: the second fault is delivered.
        guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(6, isPresent: false)
        // ud2
        #expect(try guest.fault([0x0f, 0x0b]) == SeenFault(vector: 11, error: 6 * 8 + 2, rip: code, cs: 8))
        // #DE contributes.
        guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(0, isPresent: false)
        // xor ecx, ecx; div ecx
        #expect(try guest.fault([0x31, 0xc9, 0xf7, 0xf1])?.vector == 8)
        // #GP and then #PF is #PF; its stack is fine.
        guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.rsp = 0x4000_0000
        try guest.setGate(14, stack: 1)
        try guest.put(GuestFixture.task + 36, quadwords: [0x22_0000])
        // mov ecx, 0xc0000100; mov edx, 0x8000; wrmsr
        #expect(
            try guest.fault([0xb9, 0x00, 0x01, 0x00, 0xc0, 0xba, 0x00, 0x80, 0x00, 0x00, 0x0f, 0x30])?.vector == 14)
        #expect(guest.state.registers.cr2 == 0x4000_0000 - 8)
        // INT 8 is no double fault: the #NP of its gate goes in as such, and RIP is the instruction's.
        guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.setGate(8, isPresent: false)
        // nop; int 8
        #expect(try guest.fault([0x90, 0xcd, 0x08]) == SeenFault(vector: 11, error: 8 * 8 + 2, rip: code + 1, cs: 8))
    }
}
