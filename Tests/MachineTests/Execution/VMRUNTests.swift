// VMRUN: what it loads and stores, what it refuses and in which order, and the mark on the page that runs.

import Machine
import SNPArchitecture
import Testing

@Suite("VMRUN")
struct VMRUNTests {
    @Test("Registers come decrypted from the VMSA and go back encrypted; the VMCB gets the exit")
    func loadsAndStores() throws {
        let fixture = try RunFixture()
        fixture.processor.body = { state, memory, _ in
            #expect(state.registers.rax == 0x1234)
            #expect(state.ghcb == 0x77 && state.budget == 9 && state.event.vector == 0x21)
            #expect(
                memory.context
                    == RunningGuest(
                        asid: RunFixture.asid, vmpl: .vmpl0, nestedRoot: fixture.nested.root, key: fixture.key))
            state.registers.rax = 0x5678
            state.ghcb = 0x99
            state.budget = 4
            return GuestExit(.nestedPageFault, info1: 1, info2: 2, interruptInfo: state.event, nextRIP: 3)
        }
        var vmcb = fixture.vmcb
        vmcb.ghcb = 0x77
        vmcb.eventInjection = EventInjection(.interrupt, vector: 0x21)
        var budget: UInt64 = 9
        fixture.machine.vmrun(&vmcb, on: fixture.thread, budget: &budget)
        #expect(vmcb.exitCode == .nestedPageFault && vmcb.exitInfo1 == 1 && vmcb.exitInfo2 == 2 && vmcb.nextRIP == 3)
        #expect(vmcb.exitInterruptInfo.vector == 0x21 && !vmcb.eventInjection.isValid)
        #expect(vmcb.ghcb == 0x99 && budget == 4)
        let stored = try fixture.stored(fixture.key)
        #expect(stored.rax == 0x5678 && stored.guestExitCode == 0x400 && stored.guestExitInfo2 == 2)
        #expect(try fixture.stored(.plain).rax != 0x5678, "the host sees ciphertext")
    }

    @Test("Reserved bytes of the page survive a run")
    func reservedBytes() throws {
        let fixture = try RunFixture()
        fixture.machine.memory.store(
            [0xaa, 0xbb], at: SPA(fixture.vmsaFrame.address.rawValue + 0xe00), key: fixture.key)
        fixture.run()
        let found = fixture.machine.memory.bytes(
            SPA(fixture.vmsaFrame.address.rawValue + 0xe00), count: 2, key: fixture.key)
        #expect(fixture.processor.runs == 1 && found == [0xaa, 0xbb])
    }

    @Test("The page is read and written where it lies as it is decoded from bytes, every byte of it")
    func inPlace() throws {
        let fixture = try RunFixture()
        var bytes = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ ($0 >> 8)) }
        let valid = RunFixture.vmsa.bytes
        // What VMRUN checks is as it must be: segments, VMPL and CPL, EFER, CR4 to RIP, SEV_FEATURES, VINTR_CTRL.
        for range in [0x0..<0xa0, 0xc8..<0xd8, 0x148..<0x180, 0x3b0..<0x3c0] { bytes[range] = valid[range] }
        fixture.machine.memory.store(bytes, at: fixture.vmsaFrame.address, key: fixture.key)
        let decoded = try #require(VMSA(bytes: bytes))
        fixture.processor.body = { state, _, _ in
            #expect(state.registers == decoded)
            return GuestExit(.halt, info1: 1, info2: 2, nextRIP: 3)
        }
        #expect(fixture.run().exitCode == .halt && fixture.processor.runs == 1)
        let after = fixture.machine.memory.bytes(fixture.vmsaFrame.address, count: 4096, key: fixture.key)
        // GUEST_EXITINFO1 to GUEST_NRIP, and GUEST_EXITCODE.
        let changed = (0..<4096).filter { after[$0] != bytes[$0] }
        #expect(changed.allSatisfy { 0x390..<0x3b0 ~= $0 || 0x3c0..<0x3c8 ~= $0 } && !changed.isEmpty)
    }

    @Test(
        "What becomes of the page between two runs is what the next run finds: other registers, or noise where the host wrote"
    )
    func changedBetweenRuns() throws {
        let fixture = try RunFixture()
        var seen: [UInt64] = []
        fixture.processor.body = { state, _, _ in
            seen.append(state.registers.rax)
            state.registers.rax += 1
            return GuestExit(.halt)
        }
        fixture.run()
        fixture.run()
        var changed = try fixture.stored(fixture.key)
        changed.rax = 0x99
        fixture.store(changed)
        fixture.run()
        #expect(seen == [0x1234, 0x1235, 0x99])
        // A host's write makes noise of the 16 bytes that it hits, here ES, and leaves the rest as it was.
        fixture.machine.memory.store([1, 2, 3, 4], at: fixture.vmsaFrame.address, key: .plain)
        fixture.processor.body = { state, _, _ in
            #expect(state.registers.es != changed.es && state.registers.cs == changed.cs)
            #expect(state.registers.rax == 0x9a)
            state.registers.rax = 0x55
            return GuestExit(.halt)
        }
        #expect(fixture.run().exitCode == .halt && fixture.processor.runs == 4)
        #expect(try fixture.stored(fixture.key).rax == 0x55)
    }

    @Test("While the guest runs, its VMSA is in use: RMPUPDATE and RMPADJUST get FAIL_INUSE, another VMRUN gets BUSY")
    func inUse() throws {
        let fixture = try RunFixture()
        let other = HardwareThread(ClosureProcessor())
        fixture.processor.body = { _, memory, _ in
            #expect(fixture.isMarkedInUse)
            #expect(throws: RMPStatus.failInUse) {
                try fixture.machine.rmp.rmpUpdate(fixture.vmsaFrame.address, to: .shared(.size4K))
            }
            let page = GuestPage(gpa: fixture.vmsaGPA, pfn: fixture.vmsaFrame, level: .level4K)
            #expect(throws: GuestInstructionFailure.status(.failInUse)) {
                try fixture.machine.rmp.rmpAdjust(
                    page, size: .size4K, target: .vmpl1, permissions: [], vmsa: false, asid: RunFixture.asid,
                    vmpl: .vmpl0)
            }
            var second = fixture.vmcb
            var budget: UInt64 = 1
            fixture.machine.vmrun(&second, on: other, budget: &budget)
            #expect(second.exitCode == .busy)
            #expect(fixture.isMarkedInUse, "the refused VMRUN leaves the mark to the one that runs")
            return GuestExit(.halt)
        }
        #expect(fixture.run().exitCode == .halt)
        #expect(!fixture.isMarkedInUse)
        try fixture.machine.rmp.rmpUpdate(fixture.vmsaFrame.address, to: .shared(.size4K))
        #expect(fixture.run().exitCode == .invalid, "the page is the host's now")
    }

    /// Something that makes VMRUN refuse, and what it says.
    struct Refusal: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let code: ExitCode
        let spoil: @Sendable (RunFixture, inout VMCB) throws -> Void

        init(
            _ name: String, _ code: ExitCode = .invalid,
            _ spoil: @escaping @Sendable (RunFixture, inout VMCB) throws -> Void
        ) {
            testDescription = name
            self.code = code
            self.spoil = spoil
        }
    }

    /// In check order.
    static let refusals: [Refusal] = [
        Refusal("VMRUN is not intercepted") { $1.intercepts.subtract(InterceptSet(.vmrun)) },
        Refusal("nested paging is off") { $1.features.remove(.nestedPaging) },
        Refusal("SEV is off") { $1.features.remove(.sev) },
        Refusal("SEV-ES is off") { $1.features.remove(.sevES) },
        Refusal("ASID 0") { $1.asid = .host },
        Refusal("ASID past the RMP's ten bits") { $1.asid = ASID(0x400) },
        Refusal("an ASID of plain SEV guests") { fixture, vmcb in
            vmcb.asid = ASID(fixture.machine.configuration.minimumSEVASID)
            fixture.machine.encryption.installKey([UInt8](repeating: 1, count: 16), for: vmcb.asid)
        },
        Refusal("an ASID without a key") { $1.asid = ASID(6) },
        Refusal("an unaligned VMSA pointer") { $1.vmsa = $1.vmsa + 8 },
        Refusal("a VMSA pointer outside DRAM") { $1.vmsa = SPA(1 << 40) },
        Refusal("a page of the host") { $1.vmsa = PFN(900).address },
        Refusal("a page of another guest") { fixture, vmcb in
            vmcb.asid = ASID(6)
            fixture.machine.encryption.installKey([UInt8](repeating: 1, count: 16), for: vmcb.asid)
        },
        Refusal("a page that its guest no longer accepts") { fixture, _ in
            let page = GuestPage(gpa: fixture.vmsaGPA, pfn: fixture.vmsaFrame, level: .level4K)
            _ = try fixture.machine.rmp.pvalidate(
                page, size: .size4K, validate: false, asid: RunFixture.asid, vmpl: .vmpl0)
            #expect(fixture.machine.rmp.entry(fixture.vmsaFrame).vmsa)
        },
        Refusal("an immutable page") { fixture, _ in
            var entry = fixture.machine.rmp.entry(fixture.vmsaFrame)
            entry.immutable = true
            fixture.machine.rmp.firmwareWrite(fixture.vmsaFrame, entry)
        },
        Refusal("a page of 2 MiB") { fixture, vmcb in
            let pfn = PFN(2560)
            try fixture.machine.rmp.rmpUpdate(pfn.address, to: .guest(RunFixture.asid, at: GPA(0x40_0000), .size2M))
            let page = GuestPage(gpa: GPA(0x40_0000), pfn: pfn, level: .level2M)
            _ = try fixture.machine.rmp.pvalidate(
                page, size: .size2M, validate: true, asid: RunFixture.asid, vmpl: .vmpl0)
            try fixture.machine.rmp.rmpAdjust(
                page, size: .size2M, target: .vmpl1, permissions: [], vmsa: true, asid: RunFixture.asid, vmpl: .vmpl0)
            fixture.machine.memory.store(RunFixture.vmsa.bytes, at: pfn.address, key: fixture.key)
            vmcb.vmsa = pfn.address
        },
        Refusal("a validated page without the VMSA bit") { fixture, vmcb in
            try fixture.give(PFN(1031), at: GFN(8))
            vmcb.vmsa = PFN(1031).address
        },
        Refusal("a VMSA in use", .busy) { fixture, _ in fixture.machine.rmp.setInUse(fixture.vmsaFrame, true) },
        Refusal("registers without the SNP bit") { fixture, _ in
            var vmsa = RunFixture.vmsa
            vmsa.sevFeatures = []
            fixture.store(vmsa)
        },
        Refusal("a VMSA marked busy by its guest", .busy) { fixture, _ in
            var vmsa = RunFixture.vmsa
            vmsa.vintrControl = 1 << 63
            fixture.store(vmsa)
        },
    ]

    @Test("Each check alone refuses, with its code; no guest code runs and no mark stays", arguments: refusals)
    func refuses(_ refusal: Refusal) throws {
        let fixture = try RunFixture()
        var vmcb = fixture.vmcb
        try refusal.spoil(fixture, &vmcb)
        let wasInUse = fixture.isMarkedInUse
        #expect(fixture.run(vmcb).exitCode == refusal.code)
        #expect(fixture.processor.runs == 0 && fixture.isMarkedInUse == wasInUse)
    }

    @Test("A VMSA in use comes before bad registers, and bad registers before a busy mark")
    func order() throws {
        let fixture = try RunFixture()
        var vmsa = RunFixture.vmsa
        vmsa.vintrControl = 1 << 63
        vmsa.efer = 0
        fixture.store(vmsa)
        #expect(fixture.run().exitCode == .invalid)
        fixture.machine.rmp.setInUse(fixture.vmsaFrame, true)
        #expect(fixture.run().exitCode == .busy)
    }

    @Test("A VMSA page whose bytes the host replaced is noise, which VMRUN refuses")
    func replaced() throws {
        let fixture = try RunFixture()
        fixture.machine.memory.store(RunFixture.vmsa.bytes, at: fixture.vmsaFrame.address)
        #expect(fixture.run().exitCode == .invalid && fixture.processor.runs == 0)
    }

    @Test("The VMPL and the privilege of accesses are the VMSA's")
    func context() throws {
        var vmsa = RunFixture.vmsa
        vmsa.vmpl = 2
        vmsa.cpl = 3
        let fixture = try RunFixture(vmsa)
        fixture.processor.body = { _, memory, _ in
            #expect(memory.context.vmpl == .vmpl2 && memory.privilege == .user)
            return GuestExit(.halt)
        }
        fixture.run()
        #expect(fixture.processor.runs == 1)
    }

    @Test("Translations outlive an exit, also in the VMSA's own 2 MiB region, and TLB_CONTROL removes them")
    func translations() throws {
        let fixture = try RunFixture()
        try fixture.give(PFN(1032), at: GFN(20))
        try fixture.nested.map(20, to: PFN(1032), level: .level4K, flags: .guest)
        let tag = TranslationTag(asid: RunFixture.asid, cBit: .private, vmpl: .vmpl0, privilege: .supervisor)
        fixture.processor.body = { _, memory, _ in
            #expect(memory.tlb.lookup(GFN(20), tag, .read) == nil)
            #expect(throws: Never.self) { try memory.translate(GPA(20 << 12), .read, .private) }
            return GuestExit(.halt)
        }
        fixture.run()
        fixture.processor.body = { _, memory, _ in
            #expect(memory.tlb.lookup(GFN(20), tag, .read)?.pfn == PFN(1032))
            return GuestExit(.halt)
        }
        fixture.run()
        fixture.processor.body = { _, memory, _ in
            #expect(memory.tlb.lookup(GFN(20), tag, .read) == nil)
            return GuestExit(.halt)
        }
        for control in [TLBControl.flushAll, .flushGuest, .flushGuestLocal] {
            var vmcb = fixture.vmcb
            vmcb.tlbControl = control
            fixture.run(vmcb)
            let body = fixture.processor.body
            fixture.processor.body = { _, memory, _ in
                _ = try? memory.translate(GPA(20 << 12), .read, .private)
                return GuestExit(.halt)
            }
            fixture.run()
            fixture.processor.body = body
        }
        #expect(fixture.processor.runs == 8)
    }

    @Test("A fault with the reserved bit, and a page not validated, stay in the guest as #VC; other faults are exits")
    func delivery() {
        let gpa = GPA(0x1234_5000)
        #expect(GuestFault.pageNotValidated(gpa: gpa).delivery == .communicationException(.pageNotValidated))
        let device: PageFaultError = [.present, .user, .reserved, .finalAddress]
        #expect(
            GuestFault.nestedPageFault(gpa: gpa, error: device).delivery == .communicationException(.nestedPageFault))
        let rmp: PageFaultError = [.present, .user, .rmp, .encrypted, .finalAddress]
        let exit = GuestExit(.nestedPageFault, info1: rmp.rawValue, info2: gpa.rawValue)
        #expect(GuestFault.nestedPageFault(gpa: gpa, error: rmp).delivery == .exit(exit))
    }
}
