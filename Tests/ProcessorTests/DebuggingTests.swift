// #DB by the trap flag and by debug registers; when x87, MMX and XSAVE raise #NM, #UD and #MF.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Single steps, breakpoints, and who may use x87")
struct DebuggingTests {
    private func prepared() throws -> GuestFixture {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        guest.state.registers.dr6 = 0xffff_0ff0
        guest.state.registers.dr7 = 0x400
        return guest
    }

    @Test("TF traps behind each instruction, of whatever kind, and the handler runs without it")
    func singleStep() throws {
        // nop; push rax; cpuid-like complex ones: sldt eax, fnop; a taken jump
        let rows: [(String, [UInt8], UInt64)] = [
            ("nop", [0x90, 0x90], 1), ("push", [0x50, 0x90], 1), ("sldt", [0x0f, 0x00, 0xc0, 0x90], 3),
            ("fnop", [0xd9, 0xd0, 0x90], 2), ("jmp", [0xeb, 0x10] + [UInt8](repeating: 0x90, count: 0x20), 0x12),
        ]
        for (name, code, length) in rows {
            let guest = try prepared()
            guest.state.registers.rflags |= 0x100
            let seen = try guest.fault(code + [0xf4])
            #expect(
                seen == SeenFault(vector: 1, error: nil, rip: GuestFixture.code + length, cs: 8), "\(name)")
            #expect(guest.state.registers.dr6 & 0x4000 != 0, "\(name)")
            #expect(guest.state.registers.rflags & 0x100 == 0, "\(name)")
        }
    }

    @Test("an instruction breakpoint faults before its instruction, unless RF is set")
    func instructionBreakpoint() throws {
        for resumes in [false, true] {
            let guest = try prepared()
            guest.state.registers.dr0 = GuestFixture.code + 1
            guest.state.registers.dr7 |= 1
            if resumes {
                // The breakpoint is on the first instruction, which RF lets pass once.
                guest.state.registers.dr0 = GuestFixture.code
                guest.state.registers.rflags |= 0x10000
            }
            // nop; inc eax; hlt
            let seen = try guest.fault([0x90, 0xff, 0xc0, 0xf4])
            if resumes {
                #expect(seen == nil)
                #expect(guest.state.registers.rax == 1)
                #expect(guest.state.registers.rflags & 0x10000 == 0)
            } else {
                #expect(seen == SeenFault(vector: 1, error: nil, rip: GuestFixture.code + 1, cs: 8))
                #expect(guest.state.registers.rax == 0)
                #expect(guest.state.registers.dr6 & 0xf == 1)
            }
        }
    }

    @Test("a data breakpoint traps behind a write, behind a read only if it is asked for, and only where it lies")
    func dataBreakpoint() throws {
        // mov [rbx], al; mov al, [rbx]; hlt: write-only breakpoints, read and write, and one beside it
        let (store, load): ([UInt8], [UInt8]) = ([0x88, 0x03], [0x8a, 0x03])
        let rows: [(code: [UInt8], kind: UInt64, offset: UInt64, traps: Bool)] = [
            (store, 1, 0, true), (load, 1, 0, false), (load, 3, 0, true), (store, 3, 8, false),
            (store, 1, ~0 - 2, true),
        ]
        for row in rows {
            let guest = try prepared()
            guest.state.registers.rbx = 0x80_0004
            // Four bytes, number 2.
            guest.state.registers.dr2 = 0x80_0004 &+ row.offset &+ (row.offset > 100 ? 3 : 0)
            guest.state.registers.dr7 |= 0x10 | (row.kind | 0xc) << 24
            let seen = try guest.fault(row.code + [0xf4])
            let expected = SeenFault(vector: 1, error: nil, rip: GuestFixture.code + 2, cs: 8)
            #expect(seen == (row.traps ? expected : nil), "\(row)")
            if row.traps { #expect(guest.state.registers.dr6 & 0xf == 4) }
        }
    }

    @Test("DR7.GD guards the debug registers, and CR4.DE takes DR4 and DR5 away")
    func generalDetect() throws {
        let guest = try prepared()
        guest.state.registers.dr7 |= 1 << 13
        // mov rax, dr0
        #expect(try guest.fault([0x0f, 0x21, 0xc0])?.vector == 1)
        #expect(guest.state.registers.dr6 & 1 << 13 != 0)
        #expect(guest.state.registers.dr7 & 1 << 13 == 0)
        let other = try prepared()
        other.state.registers.cr4 |= 8
        // mov rax, dr4
        #expect(try other.fault([0x0f, 0x21, 0xe0])?.vector == 6)
    }

    @Test("a pending x87 exception is #MF at the next waiting instruction; control instructions wait for nothing")
    func pendingException() throws {
        let guest = try prepared()
        // fninit; fldcw [rbx]; fld1; fldz; fdivp; fnstsw ax; fld1
        guest.state.registers.rbx = 0x80_0000
        guest.state.registers.cr0 |= 0x20
        try guest.put(0x80_0000, [0x7b, 0x03])
        let seen = try guest.fault([0xdb, 0xe3, 0xd9, 0x2b, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xdf, 0xe0, 0xd9, 0xe8])
        #expect(seen == SeenFault(vector: 16, error: nil, rip: GuestFixture.code + 12, cs: 8))
        #expect(guest.state.registers.rax & 0x80ff == 0x8084)
    }

    @Test("CR0.EM and CR0.TS: #NM of x87 and XSAVE, #UD and #NM of MMX; FWAIT wants TS and MP; XSAVE wants CR4.OSXSAVE")
    func notAvailable() throws {
        let (em, ts, mp): (UInt64, UInt64, UInt64) = (4, 8, 2)
        // fld1; emms; fwait; xsave [rbx]; por mm0, mm0
        let rows: [(code: [UInt8], cr0: UInt64, osxsave: Bool, vector: UInt64?)] = [
            ([0xd9, 0xe8], em, true, 7), ([0xd9, 0xe8], ts, true, 7), ([0xd9, 0xe8], 0, true, nil),
            ([0x0f, 0x77], em, true, 6), ([0x0f, 0x77], ts, true, 7), ([0x0f, 0xeb, 0xc0], em | ts, true, 6),
            ([0x9b], ts, true, nil), ([0x9b], ts | mp, true, 7), ([0x9b], em, true, nil),
            ([0x0f, 0xae, 0x23], 0, true, nil), ([0x0f, 0xae, 0x23], ts, true, 7), ([0x0f, 0xae, 0x23], ts, false, 6),
        ]
        for row in rows {
            let guest = try prepared()
            guest.state.registers.rbx = 0x80_0000
            guest.state.registers.xcr0 = 3
            guest.state.registers.cr0 = guest.state.registers.cr0 & ~0xe | row.cr0
            if row.osxsave { guest.state.registers.cr4 |= 1 << 18 }
            #expect(try guest.fault(row.code + [0xf4])?.vector == row.vector, "\(row)")
        }
    }

    @Test("CR4.UMIP keeps programs from the tables' addresses")
    func umip() throws {
        // sldt eax; smsw eax
        for code in [[0x0f, 0x00, 0xc0], [0x0f, 0x01, 0xe0]] as [[UInt8]] {
            let guest = try prepared()
            guest.state.registers.cr4 |= 1 << 11
            #expect(try guest.fault(code + [0x0f, 0x0b], atUser: true)?.vector == 13)
            #expect(try prepared().fault(code + [0x0f, 0x0b], atUser: true)?.vector == 6)
        }
    }

    @Test(
        "an instruction whose segment is checked first completes under TF, a breakpoint and an awaited window",
        arguments: ["trap", "breakpoint", "window"])
    func checkedSegment(_ watch: String) throws {
        let guest = try GuestFixture()
        var r = VMSA()
        r.cs = SegmentRegister(selector: 0, attributes: 0x9b, limit: 0xffff)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(selector: 0, attributes: 0x93, limit: 0xffff)
        }
        (r.efer, r.cr0, r.rflags, r.rip, r.rbx, r.rdx) = (0x1000, 0x30, 2, 0x4000, 0x8000, 0x500)
        r.idtr = SegmentRegister(selector: 0, attributes: 0, limit: 0x3ff)
        r.sevFeatures = [.snpActive]
        guest.state = VirtualCPUState(registers: r)
        switch watch {
        case "trap": guest.state.registers.rflags |= 0x100
        case "breakpoint":
            guest.state.registers.dr7 = 0x401
            guest.state.registers.dr0 = 0xfff0
        case "window":
            guest.state.wantsInterruptWindow = true
            guest.state.interruptShadow = true
            guest.state.registers.rflags |= 0x200
        default: break
        }
        // add [bx + 0x27], dh; nop; #DB goes to 0:6000
        try guest.put(0x4000, [0x00, 0x77, 0x27, 0x90, 0x90])
        try guest.put(4, [0x00, 0x60, 0x00, 0x00])
        guest.processor.forgetCode()
        guest.resume(budget: 1)
        #expect(try guest.bytes(0x8027, 1) == [5])
        #expect(guest.state.registers.rip == (watch == "trap" ? 0x6000 : 0x4003))
    }
}
