// The RMP instructions: what each refuses, in which order, and what it leaves behind.

import Machine
import SNPArchitecture
import Testing

@Suite("RMP instructions")
struct RMPInstructionTests {
    @Test(
        "RMPUPDATE refuses operands first: alignment, a contradiction, addresses and owners that do not fit, frames not covered"
    )
    func updateOperands() throws {
        let fixture = try RMPFixture()
        // The page itself would be refused too: it is immutable.
        #expect(fixture.give(1024, immutable: true) == nil)
        let covered = fixture.rmp.coveredFrameCount
        let wrong: [(UInt64, RMPUpdateState)] = [
            (1024, .guest(ASID(5), at: GPA(0x1000), .size2M)), (1025, .guest(ASID(5), at: GPA(0), .size2M)),
            (1024, RMPUpdateState(assigned: false, asid: ASID(5))),
            (1024, RMPUpdateState(assigned: false, immutable: true)),
            (1024, RMPUpdateState(gpa: GPA(0x1000), assigned: true, immutable: true)),
            (1024, .guest(ASID(5), at: GPA(1 << 51), .size4K)), (1024, .guest(ASID(0x400), at: GPA(0), .size4K)),
            (covered, .guest(ASID(5), at: GPA(0), .size4K)), (covered | 511 + 1, .shared(.size2M)),
        ]
        for (pfn, state) in wrong { #expect(fixture.update(pfn, state) == .failInput, "\(pfn) \(state)") }
        #expect(fixture.rmp.findViolations() == [])
    }

    @Test("RMPUPDATE makes no Metadata or IOMMU page: those are firmware's, immutable and with an address")
    func updateMakesNoMetadata() throws {
        let fixture = try RMPFixture()
        for gpa in [1, 2, 1 << 24, 1 << 38] as [UInt64] {
            for size in [PageSize.size4K, .size2M] {
                let state = RMPUpdateState(gpa: GPA(gpa << 21), assigned: true, pageSize: size, immutable: true)
                #expect(fixture.update(1024, state) == .failInput, "\(state)")
            }
        }
        #expect(fixture.rmp.state(of: PFN(1024)) == .hypervisor)
        #expect(fixture.update(1024, .firmware) == nil)
        #expect(fixture.rmp.state(of: PFN(1024)) == .firmware)
        #expect(fixture.rmp.findViolations() == [])
    }

    @Test("Then immutable, then in use, then overlap")
    func updateOrder() throws {
        let fixture = try RMPFixture()
        #expect(fixture.give(1024, .size2M, gfn: 1 << 20, immutable: true) == nil)
        fixture.rmp.setInUse(PFN(1024), true)
        #expect(fixture.give(1024) == .failPermission)
        #expect(fixture.give(1025) == .failOverlap, "a frame inside a 2M page has no entry of its own")
        #expect(fixture.give(512) == nil)
        #expect(fixture.give(513) == nil)
        fixture.rmp.setInUse(PFN(512), true)
        #expect(fixture.give(512, .size2M, gfn: 512) == .failInUse)
        fixture.rmp.setInUse(PFN(512), false)
        #expect(fixture.give(512, .size2M, gfn: 512) == .failOverlap)
        #expect(fixture.update(512, .shared(.size2M)) == .failOverlap)
        #expect(fixture.update(513, .shared(.size4K)) == nil)
        #expect(fixture.give(512, .size2M, gfn: 512) == nil, "the first frame's own entry is no obstacle")
        #expect(fixture.rmp.findViolations() == [])
    }

    @Test(
        "A change of owner, address or size clears validated, VMSA and the other VMPLs' permissions; a rewrite keeps them"
    )
    func updateResets() throws {
        let fixture = try RMPFixture()
        func prepare() throws {
            #expect(fixture.give(600) == nil)
            if !fixture.entry(600).validated { #expect(fixture.validate(600) == .success(true)) }
            let page = GuestPage(gpa: GPA(600 << 12), pfn: PFN(600), level: .level4K)
            try fixture.rmp.rmpAdjust(
                page, size: .size4K, target: .vmpl1, permissions: .all, vmsa: true, asid: ASID(5), vmpl: .vmpl0)
        }
        try prepare()
        #expect(fixture.give(600) == nil)
        #expect(
            fixture.entry(600).validated && fixture.entry(600).vmsa && fixture.entry(600).permissions[.vmpl1] == .all)
        for change in [
            RMPUpdateState.guest(ASID(5), at: GPA(601 << 12), .size4K), .guest(ASID(6), at: GPA(600 << 12), .size4K),
        ] {
            #expect(fixture.update(600, change) == nil)
            let entry = fixture.entry(600)
            #expect(!entry.validated && !entry.vmsa && entry.permissions == .initial)
            #expect(fixture.update(600, .shared(.size4K)) == nil)
            try prepare()
        }
        #expect(fixture.update(600, .shared(.size4K)) == nil)
        #expect(fixture.rmp.rawEntry(PFN(600)) == RMPEntryRaw(low: 0, high: 0))
    }

    @Test(
        "PSMASH: alignment and coverage, then kind, then in use; 512 entries with consecutive addresses and the same state"
    )
    func smash() throws {
        let fixture = try RMPFixture()
        #expect(fixture.smash(513) == .failInput)
        #expect(fixture.smash(1 << 30) == .failInput)
        #expect(fixture.smash(512) == .failPermission, "the host's page")
        #expect(fixture.give(512) == nil)
        #expect(fixture.smash(512) == .failPermission, "a 4K page")
        #expect(fixture.give(1024, .size2M, gfn: 1 << 20) == nil)
        #expect(fixture.validate(1024, .size2M, level: .level2M, gfn: 1 << 20) == .success(true))
        fixture.rmp.setInUse(PFN(1024), true)
        #expect(fixture.smash(1024) == .failInUse)
        fixture.rmp.setInUse(PFN(1024), false)
        #expect(fixture.smash(1024) == nil)
        for offset in [0, 1, 77, 511] as [UInt64] {
            let entry = fixture.rmp.entry(PFN(1024 + offset))
            #expect(
                entry.assigned && entry.pageSize == .size4K && entry.gfn == GFN(1 << 20 + offset)
                    && entry.asid == ASID(5))
            #expect(entry.validated && entry.permissions == .initial)
        }
        #expect(fixture.rmp.entry(PFN(1024)).subpageCount == 511)
        #expect(fixture.rmp.assignedPageCount(of: ASID(5)) == 513)
        #expect(fixture.smash(1024) == .failPermission)
        #expect(fixture.give(1536, .size2M, gfn: 1 << 20, immutable: true) == nil)
        #expect(fixture.smash(1536) == .failPermission)
        #expect(fixture.rmp.findViolations() == [])
    }

    @Test("PVALIDATE in check order: VMPL, alignment, owner, size of the entry against the mapping and the operand")
    func pvalidate() throws {
        let fixture = try RMPFixture()
        let fault = PageFaultError([.present, .user, .rmp, .encrypted, .finalAddress])
        func isFault(_ result: Result<Bool, GuestInstructionFailure>, _ error: PageFaultError, _ gfn: UInt64) -> Bool {
            result == .failure(.fault(.nestedPageFault(gpa: GPA(gfn << 12), error: error)))
        }
        #expect(fixture.give(600) == nil)
        #expect(fixture.give(1024, .size2M, gfn: 1024) == nil)
        #expect(fixture.validate(600, .size2M, gfn: 601, asid: 7, vmpl: .vmpl1) == .failure(.status(.failPermission)))
        #expect(fixture.validate(600, .size2M, gfn: 601, asid: 7) == .failure(.status(.failInput)))
        #expect(isFault(fixture.validate(600, asid: 7), fault, 600))
        #expect(isFault(fixture.validate(600, gfn: 601), fault, 601))
        #expect(isFault(fixture.validate(1 << 30), fault, 1 << 30), "past the RMP")
        #expect(isFault(fixture.validate(601), fault, 601), "the host's page")
        #expect(isFault(fixture.validate(1024), fault.union(.sizeMismatch), 1024), "4K of a 2M page")
        #expect(
            isFault(fixture.validate(1024, .size2M, level: .level4K), fault.union(.sizeMismatch), 1024), "mapped 4K")
        #expect(fixture.validate(1024, .size2M, level: .level2M) == .success(true))
        #expect(fixture.entry(1100).validated)
        #expect(fixture.give(1536) == nil)
        #expect(fixture.validate(1536, .size2M, level: .level2M) == .failure(.status(.failSizeMismatch)))
        #expect(fixture.validate(600) == .success(true))
        #expect(fixture.validate(600) == .success(false), "CF: nothing changed")
        #expect(fixture.validate(600, to: false) == .success(true))
        #expect(fixture.give(601, immutable: true) == nil)
        #expect(isFault(fixture.validate(601), fault, 601), "in firmware's hands")
    }

    @Test("RMPADJUST in check order; RMPQUERY tells what it set")
    func rmpAdjust() throws {
        let fixture = try RMPFixture()
        #expect(fixture.give(600) == nil)
        let page = GuestPage(gpa: GPA(600 << 12), pfn: PFN(600), level: .level4K)
        func adjust(_ target: VMPL, _ permissions: VMPLPermissions, vmsa: Bool = false, vmpl: VMPL = .vmpl0)
            -> GuestInstructionFailure?
        {
            do throws(GuestInstructionFailure) {
                try fixture.rmp.rmpAdjust(
                    page, size: .size4K, target: target, permissions: permissions, vmsa: vmsa, asid: ASID(5), vmpl: vmpl
                )
                return nil
            } catch { return error }
        }
        #expect(adjust(.vmpl0, .all) == .status(.failPermission))
        #expect(adjust(.vmpl1, .all, vmpl: .vmpl1) == .status(.failPermission))
        #expect(adjust(.vmpl1, .all) == .fault(.pageNotValidated(gpa: page.gpa)))
        #expect(fixture.validate(600) == .success(true))
        #expect(adjust(.vmpl2, .read, vmpl: .vmpl1) == .status(.failPermission), "VMPL1 has no permissions to give")
        #expect(adjust(.vmpl1, [.read, .write], vmsa: true) == nil)
        #expect(fixture.entry(600).vmsa)
        #expect(adjust(.vmpl2, .all, vmpl: .vmpl1) == .status(.failPermission))
        #expect(adjust(.vmpl2, .read, vmsa: false, vmpl: .vmpl1) == nil)
        #expect(fixture.entry(600).vmsa, "only VMPL0 changes the VMSA bit")
        fixture.rmp.setInUse(PFN(600), true)
        #expect(adjust(.vmpl1, .read) == .status(.failInUse))
        fixture.rmp.setInUse(PFN(600), false)
        let query = try fixture.rmp.rmpQuery(page, target: .vmpl1, asid: ASID(5), vmpl: .vmpl0)
        #expect(query.permissions == [.read, .write] && query.vmsa && query.size == .size4K)
        #expect(throws: GuestInstructionFailure.status(.failPermission)) {
            try fixture.rmp.rmpQuery(page, target: .vmpl0, asid: ASID(5), vmpl: .vmpl1)
        }
    }

    @Test("RMPREAD tells owner, size and whether the region holds assigned pages, inside a 2M page too")
    func rmpRead() throws {
        let fixture = try RMPFixture()
        #expect(throws: RMPStatus.failInput) { try fixture.rmp.rmpRead(SPA(1 << 40)) }
        #expect(try !fixture.rmp.rmpRead(SPA(512 << 12)).regionHasAssignedPages)
        #expect(fixture.give(600, gfn: 77) == nil)
        let other = try fixture.rmp.rmpRead(SPA(601 << 12))
        #expect(!other.assigned && other.regionHasAssignedPages)
        #expect(fixture.give(1024, .size2M, gfn: 1 << 20) == nil)
        let inside = try fixture.rmp.rmpRead(SPA(1030 << 12))
        #expect(
            inside.assigned && inside.pageSize == .size2M && inside.gpa == GPA((1 << 20 + 6) << 12)
                && inside.asid == ASID(5))
    }
}
