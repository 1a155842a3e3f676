// When a guest would take an interrupt: the window that a host asks for, and the shadows of STI and of loads of SS.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Interrupt windows")
struct InterruptWindowTests {
    private func fixture() throws -> GuestFixture {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.wantsInterruptWindow = true
        return guest
    }

    @Test(
        "the window opens at the first instruction that may be interrupted, and nowhere else",
        arguments: [
            // sti; nop; nop; hlt
            ("behind the instruction behind STI", [0xfb, 0x90, 0x90, 0xf4], 2),
            // sti; mov eax, [rsp]; nop; hlt: the shadowed instruction is one of the core's
            ("behind a load", [0xfb, 0x8b, 0x04, 0x24, 0x90, 0xf4], 4),
            // pushfq; or dword [rsp], 0x200; popfq; hlt
            ("behind POPF", [0x9c, 0x81, 0x0c, 0x24, 0x00, 0x02, 0x00, 0x00, 0x9d, 0xf4], 9),
            // nop; sti; sti; nop; hlt: the second STI casts no shadow
            ("behind a second STI", [0x90, 0xfb, 0xfb, 0x90, 0xf4], 3),
        ] as [(String, [UInt8], UInt64)])
    func opens(_ row: (String, [UInt8], UInt64)) throws {
        let guest = try fixture()
        let exit = try guest.run(row.1)
        #expect(exit.code == .virtualInterrupt, "\(row.0)")
        #expect(guest.state.registers.rip == GuestFixture.code + row.2, "\(row.0)")
    }

    @Test(
        "the window does not open",
        arguments: [
            ("with IF clear", [0x90, 0xf4]),
            // sti; cli; nop; hlt
            ("between STI and CLI", [0xfb, 0xfa, 0x90, 0xf4]),
            // sti; hlt: the halt is reached
            ("between STI and HLT", [0xfb, 0xf4]),
        ] as [(String, [UInt8])])
    func staysShut(_ row: (String, [UInt8])) throws {
        let guest = try fixture()
        #expect(try guest.run(row.1).code == .halt, "\(row.0)")
        #expect(!guest.state.interruptShadow)
    }

    @Test("a load of SS shields the next instruction")
    func stackSegment() throws {
        let guest = try fixture()
        // sti; nop at once open a window: here IF is set from the start, so the first instruction must be shielded.
        guest.state.registers.rflags |= 1 << 9
        guest.state.interruptShadow = true
        // mov ss, eax; mov rsp, rbx; nop; hlt
        try guest.put(GuestFixture.code, [0x8e, 0xd0, 0x48, 0x89, 0xdc, 0x90, 0xf4])
        guest.processor.forgetCode()
        guest.state.registers.rax = 16
        guest.state.registers.rbx = GuestFixture.stack
        #expect(guest.resume().code == .virtualInterrupt)
        #expect(guest.state.registers.rip == GuestFixture.code + 5)
    }

    @Test("the shadow is told of when the guest stops in it, and holds when it goes on")
    func toldOf() throws {
        let guest = try fixture()
        guest.state.wantsInterruptWindow = false
        // sti; nop; nop; hlt, with a budget of one instruction: the block of the STI is left behind it
        try guest.put(GuestFixture.code, [0xfb, 0x90, 0x90, 0xf4])
        guest.processor.forgetCode()
        #expect(guest.resume(budget: 1).code == .interrupt)
        #expect(guest.state.interruptShadow)
        guest.state.wantsInterruptWindow = true
        #expect(guest.resume().code == .virtualInterrupt)
        #expect(guest.state.registers.rip == GuestFixture.code + 2)
        #expect(!guest.state.interruptShadow)
    }

    @Test("an injected interrupt is delivered with IF clear in its handler, an NMI by vector 2")
    func injection() throws {
        for event in [EventInjection(.interrupt, vector: 0x51), EventInjection(.nmi, vector: 2)] {
            let guest = try fixture()
            guest.state.wantsInterruptWindow = false
            guest.state.registers.rflags |= 1 << 9
            guest.state.event = event
            #expect(try guest.run([0x90, 0xf4]).code == .halt)
            #expect(
                try guest.seenFault()
                    == SeenFault(
                        vector: UInt64(event.vector), error: nil, rip: GuestFixture.code, cs: 8))
            #expect(guest.state.registers.rflags & 1 << 9 == 0)
        }
    }

    @Test("the host's offset is part of the time-stamp counter")
    func timeStamp() throws {
        let guest = try fixture()
        guest.state.timeStampOffset = 0x10_0000_0000
        // rdtsc; hlt
        try guest.run([0x0f, 0x31, 0xf4])
        #expect(guest.state.registers.rdx == 0x10)
        #expect(guest.state.registers.rax < 100)
    }
}
