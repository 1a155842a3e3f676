// Nested page faults: what goes to the VMM, what is mapped, how large, and how the RMP's complaints are settled.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Nested page faults", .serialized)
struct NestedFaultTests {
    static let policies: [any ConversionPolicy] = [EagerPolicy(), LazyPolicy()]

    @Test(
        "An access that disagrees with the attribute goes to the VMM, with the frame's address, 4096 and its private-ness",
        arguments: [0, 1])
    func mismatch(policy: Int) throws {
        let guest = try TestGuest(policy: Self.policies[policy])
        try guest.convert(0..<8, to: .private)
        let gpa = (guest.base + 3).address
        let shared = guest.vm.handleNestedPageFault(gpa + 0x123, [.user, .finalAddress])
        #expect(shared == .memoryFault(gpa: gpa, byteCount: 4096, isPrivate: false, errno: .badAddress))
        let other = (guest.base + 8).address
        let isPrivate = guest.vm.handleNestedPageFault(other + 8, [.user, .finalAddress, .encrypted])
        #expect(isPrivate == .memoryFault(gpa: other, byteCount: 4096, isPrivate: true, errno: .badAddress))
        #expect(guest.mapping(3) == nil && guest.mapping(8) == nil)
        #expect(guest.file.folios.folio(at: 3) == nil, "nothing was backed for it")
    }

    @Test("No slot: a device, with the exact address")
    func mmio() throws {
        let guest = try TestGuest()
        #expect(guest.vm.handleNestedPageFault(GPA(0xfed0_0123), [.user]) == .mmio(gpa: GPA(0xfed0_0123)))
        #expect(guest.vm.handleNestedPageFault(GPA(~0), [.user, .encrypted]) == .mmio(gpa: GPA(~0)))
    }

    @Test("On a machine that is not SNP the encrypted bit means nothing")
    func standardMachine() throws {
        let guest = try TestGuest(kind: .standard)
        #expect(guest.fault(0, isPrivate: true) == .resume)
        #expect(guest.mapping(0)?.level == .level4K)
    }

    @Test("A private access to a slot without guest memory goes to the VMM")
    func slotWithoutGuestMemory() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        let user = try UserMemory(host: guest.host, byteCount: 0x1000)
        let gpa = (guest.base + guest.file.pageCount).address
        try guest.vm.setMemoryRegion(MemoryRegion(slot: 1, gpa: gpa, byteCount: 0x1000, userMemory: user))
        try guest.vm.setMemoryAttributes(gpa, byteCount: 0x1000, to: .private)
        let outcome = guest.vm.handleNestedPageFault(gpa, [.encrypted])
        #expect(outcome == .memoryFault(gpa: gpa, byteCount: 4096, isPrivate: true, errno: .badAddress))
    }

    @Test(
        "The first private fault backs, assigns and maps the largest page that attributes, slot, folio and alignment allow",
        arguments: [
            // offset of the base, private pages, faulting page, level
            (0, 0..<2048, 700, PageLevel.level2M), (0, 512..<1024, 700, .level2M), (0, 513..<1024, 700, .level4K),
            (0, 512..<1023, 700, .level4K), (1, 0..<2048, 700, .level4K), (256, 0..<2048, 100, .level4K),
        ])
    func level(offset: Int, pages: Range<Int>, page: Int, level: PageLevel) throws {
        for policy in Self.policies {
            let guest = try TestGuest(base: GFN(0x1000 + UInt64(offset)), policy: policy)
            try guest.convert(UInt64(pages.lowerBound)..<UInt64(pages.upperBound), to: .private)
            #expect(guest.fault(UInt64(page)) == .resume)
            let mapping = try #require(guest.mapping(UInt64(page)))
            #expect(mapping.level == level && mapping.pfn == guest.pfn(UInt64(page)))
            #expect(guest.entry(UInt64(page)).pageSize == level.rmpSize)
            #expect(guest.entry(UInt64(page)).gfn == guest.base + UInt64(page))
            #expect(guest.violations == [])
        }
    }

    @Test("Small folios that happen to fill 2 MiB are mapped 4K", arguments: [UInt8(0), 5, 8])
    func smallFolios(order: UInt8) throws {
        for policy in Self.policies {
            let guest = try TestGuest(pages: 1024, folioOrder: order, policy: policy)
            try guest.convert(0..<1024, to: .private)
            try guest.back(512, order: 9)
            guest.file.folios.split(try #require(guest.file.folios.folio(at: 512)), to: order)
            #expect(guest.fault(600) == .resume)
            #expect(guest.mapping(600)?.level == .level4K)
            #expect(guest.sizes(599..<602) == ["1 host", "1 4K", "1 host"])
            #expect(guest.violations == [])
        }
    }

    @Test("A shared fault maps the VMM's page, the same one each time; it reads as zero")
    func sharedFault() throws {
        let guest = try TestGuest()
        #expect(guest.fault(5, isPrivate: false) == .resume)
        let mapping = try #require(guest.mapping(5))
        #expect(mapping.level == .level4K)
        #expect(guest.vm.memorySlots[0].frames.contains(guest.base + 5))
        #expect(try guest.vm.memorySlots[0].userMemory.frame(at: 5) == mapping.pfn)
        #expect(try guest.host.access.bytes(mapping.pfn.address, count: 4096).allSatisfy { $0 == 0 })
        #expect(guest.fault(5, isPrivate: false) == .resume)
        #expect(guest.mapping(5) == mapping)
    }

    @Test(
        "Without memory for backing or tables the fault goes to the VMM with ENOMEM and the guest can try again",
        arguments: [true, false])
    func outOfMemory(isPrivate: Bool) throws {
        let guest = try TestGuest()
        if isPrivate { try guest.convert(0..<512, to: .private) }
        let blocks = guest.exhaustMemory()
        #expect(
            guest.fault(0, isPrivate: isPrivate)
                == .memoryFault(
                    gpa: guest.base.address, byteCount: 4096, isPrivate: isPrivate, errno: .noMemory))
        for block in blocks { guest.host.allocator.free(block.pfn, order: block.order) }
        #expect(guest.fault(0, isPrivate: isPrivate) == .resume)
        #expect(guest.violations == [])
    }

    @Test("An RMP fault splits the 2M entry once, zaps its 2 MiB, and the next access maps 4K")
    func rmpFault() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        try guest.convert(0..<1024, to: .private)
        for page in [0, 512] as [UInt64] { #expect(guest.fault(page) == .resume) }
        let before = guest.vm.conversionCounts
        let epoch = guest.emulated.machine.epochs.epoch(of: guest.vm.asid!)
        #expect(guest.fault(37, rmpBit: true) == .resume)
        let after = guest.vm.conversionCounts
        #expect(after.rmp.psmashes == before.rmp.psmashes + 1)
        #expect(guest.mapping(0) == nil && guest.mapping(37) == nil && guest.mapping(511) == nil)
        #expect(guest.mapping(512)?.level == .level2M)
        #expect(guest.emulated.machine.epochs.epoch(of: guest.vm.asid!) > epoch, "TLBs are flushed")
        #expect(guest.level(37) == .level4K)
        #expect(guest.fault(37) == .resume)
        #expect(guest.mapping(37)?.level == .level4K)
        #expect(guest.sizes(0..<1024) == ["512 4K", "512 2M"])
        #expect(guest.violations == [])
        // Another virtual CPU's fault on the same page comes late and finds nothing to do.
        #expect(guest.fault(37, rmpBit: true) == .resume)
        #expect(guest.vm.conversionCounts.rmp.psmashes == after.rmp.psmashes)
        #expect(guest.mapping(37)?.level == .level4K)
    }

    @Test("PSMASH in use is retried by an RMP fault; a refusal leaves everything as it was")
    func rmpFaultRetry() throws {
        let guest = try TestGuest()
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume)
        guest.rmp.fail(.psmash, calls: 1...1, with: .failPermission)
        #expect(guest.fault(1, rmpBit: true) == .resume)
        #expect(guest.sizes(0..<512) == ["512 2M"])
        guest.rmp.fail(.psmash, calls: 1...5, with: .failInUse)
        #expect(guest.fault(1, rmpBit: true) == .resume)
        guest.rmp.injection.set(nil)
        #expect(guest.sizes(0..<512) == ["512 4K"])
        #expect(guest.violations == [])
    }

    @Test("An RMP fault on shared memory or without a slot changes nothing")
    func rmpFaultElsewhere() throws {
        let guest = try TestGuest()
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(600, isPrivate: false, rmpBit: true) == .resume)
        #expect(guest.vm.handleNestedPageFault(GPA(0), [.rmp, .encrypted]) == .mmio(gpa: GPA(0)))
        #expect(guest.sizes(0..<512) == ["512 2M"])
    }

    @Test("A mapping that is smaller than before, after attributes became mixed, keeps the rest of the 2 MiB reachable")
    func mixedAttributes() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume)
        try guest.convert(5..<6, to: .shared)
        #expect(guest.mapping(0) == nil)
        #expect(guest.fault(0) == .resume)
        #expect(guest.mapping(0)?.level == .level4K, "the RMP still says 2M: the guest's access faults and splits it")
        #expect(guest.sizes(0..<512) == ["512 2M"])
        #expect(guest.fault(0, rmpBit: true) == .resume)
        #expect(guest.sizes(0..<512) == ["512 4K"])
        #expect(guest.fault(5, isPrivate: false) == .resume)
        #expect(guest.violations == [])
    }

    @Test("Pre-faulting: EOPNOTSUPP before the launch is finished; else maps what attributes say and counts pages")
    func preFault() throws {
        let guest = try TestGuest()
        #expect(throws: Errno.notSupported) { try guest.vm.preFault(guest.base.address, byteCount: 4096) }
        try guest.convert(0..<600, to: .private)
        for (gpa, byteCount) in [(1, 4096), (0, 0), (0, 1), (~0xfff, 0x2000)] as [(UInt64, UInt64)] {
            #expect(throws: Errno.invalidArgument) { try guest.vm.populateMappings(GPA(gpa), byteCount: byteCount) }
        }
        #expect(throws: Errno.noEntry) { try guest.vm.populateMappings(GPA(0), byteCount: 4096) }
        #expect(try guest.vm.populateMappings((guest.base + 500).address, byteCount: 200 << 12) == 200)
        #expect(guest.mapping(0)?.level == .level2M && guest.mapping(599)?.level == .level4K)
        #expect(guest.mapping(600)?.level == .level4K && guest.mapping(700) == nil)
        let end = guest.base + guest.file.pageCount
        #expect(try guest.vm.populateMappings(GPA((end.rawValue - 2) << 12), byteCount: 10 << 12) == 2)
        #expect(guest.violations == [])
    }
}
