// The way to shared: what is split, what is freed, what stays the guest's.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Conversion to shared")
struct ToSharedTests {
    private func privateGuest(_ pages: UInt64 = 1024) throws -> TestGuest {
        let guest = try TestGuest()
        try guest.allocate(0..<pages)
        try guest.convert(0..<pages, to: .private)
        return guest
    }

    @Test("A 2M entry that is covered in part is split once, and its other pages stay the guest's, validated as before")
    func partOfLarge() throws {
        let guest = try privateGuest()
        #expect(guest.fault(0) == .resume)
        #expect(try guest.validate(0, .size2M))
        let counts = try guest.convert(10..<20, to: .shared)
        #expect(counts.rmp.psmashes == 1 && counts.rmp.updates == 10 && counts.madeShared == 10)
        #expect(counts.directMapSplits == 1 && counts.directMapCollapses == 0)
        #expect(guest.sizes(0..<1024) == ["10 4K", "10 host", "492 4K", "512 2M"])
        #expect(guest.entry(9).validated && guest.entry(20).validated && guest.entry(511).validated)
        #expect(guest.privatePages == [0..<10, 20..<1024])
        let again = try guest.convert(30..<31, to: .shared)
        #expect(again.rmp.psmashes == 0 && again.rmp.updates == 1)
        #expect(guest.violations == [])
    }

    @Test("A 2M entry that is covered whole is one update without a split; both edges of a range are split")
    func wholeLarge() throws {
        let guest = try privateGuest(2048)
        let counts = try guest.convert(500..<1540, to: .shared)
        #expect(counts.rmp.psmashes == 2 && counts.rmp.updates == 12 + 2 + 4)
        #expect(guest.sizes(0..<2048) == ["500 4K", "1040 host", "508 4K"])
        #expect(guest.violations == [])
    }

    @Test("An unassigned page needs nothing")
    func unassigned() throws {
        let guest = try TestGuest(folioOrder: 0)
        try guest.convert(0..<100, to: .private)
        try guest.allocate(0..<100)
        let counts = try guest.convert(0..<100, to: .shared)
        #expect(counts.rmp == RMPCounts() && counts.madeShared == 0 && counts.skipped == 0)
        #expect(guest.privatePages == [])
        #expect(guest.violations == [])
    }

    @Test("Pages that go to shared lose their validation, so that the guest must accept them anew")
    func validationIsLost() throws {
        let guest = try privateGuest()
        #expect(guest.fault(600) == .resume)
        #expect(try guest.validate(512, .size2M))
        #expect(guest.entry(600).validated)
        try guest.convert(512..<1024, to: .shared)
        try guest.convert(512..<1024, to: .private)
        #expect(!guest.entry(600).validated)
        #expect(guest.mapping(600) == nil)
    }

    @Test("Nested mappings are gone and the TLB flushed before the first RMP instruction", arguments: [0..<512, 3..<7])
    func zapBeforeRMP(pages: Range<Int>) throws {
        let guest = try privateGuest()
        for page in [0, 512] as [UInt64] { #expect(guest.fault(page) == .resume) }
        let asid = try #require(guest.vm.asid)
        let epoch = guest.emulated.machine.epochs.epoch(of: asid)
        let calls = Counter()
        guest.rmp.injection.set { [guest] _, _ in
            _ = calls.next()
            for page in UInt64(pages.lowerBound)..<UInt64(pages.upperBound)
            where guest.vm.nested.table.lookup(guest.base + page) != nil {
                Issue.record("page \(page) is mapped while the RMP changes")
            }
            if guest.emulated.machine.epochs.epoch(of: asid) == epoch { Issue.record("the TLB was not flushed") }
            return nil
        }
        let counts = try guest.convert(UInt64(pages.lowerBound)..<UInt64(pages.upperBound), to: .shared)
        guest.rmp.injection.set(nil)
        #expect(calls.value == (pages.count == 512 ? 1 : 5))
        #expect(counts.zaps == 1 && counts.tlbFlushes == 1)
        #expect(guest.mapping(512)?.level == .level2M, "a page outside the range stays mapped")
    }

    @Test("A lazy machine's pages stay the guest's when shared, and are found again when private")
    func lazyKeeps() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        #expect(guest.sizes(0..<512) == ["512 host"])
        #expect(guest.fault(0) == .resume)
        #expect(guest.sizes(0..<512) == ["512 2M"])
        #expect(try guest.validate(0, .size2M))
        try guest.convert(0..<512, to: .shared)
        #expect(guest.sizes(0..<512) == ["512 2M"])
        #expect(guest.mapping(0) == nil)
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(5) == .resume)
        #expect(guest.entry(5).validated)
        #expect(guest.violations == [])
        try guest.punchHole(0..<512)
        #expect(guest.sizes(0..<512) == ["512 unbacked"])
        #expect(guest.violations == [])
    }
}
