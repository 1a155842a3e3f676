// The way to private: what is converted, how large, and what is left alone.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Conversion to private")
struct ToPrivateTests {
    @Test(
        "A machine that is not SNP, or not initialised: success, attributes stored, the RMP untouched",
        arguments: [true, false])
    func notSNP(isStandard: Bool) throws {
        let guest = try TestGuest(kind: .standard)
        try guest.allocate(0..<512)
        let before = guest.host.rmp.counts
        if isStandard {
            let counts = try guest.convert(0..<512, to: .private)
            #expect(counts.madePrivate == 0 && counts.rmp == RMPCounts())
            #expect(guest.privatePages == [0..<512])
        } else {
            let bare = try VirtualMachine(host: guest.host)
            try bare.setMemoryAttributes(GPA(0), byteCount: 0x1000, to: .private)
            #expect(bare.attribute(of: GFN(0)) == .private)
        }
        #expect(guest.host.rmp.counts == before)
        #expect(guest.sizes(0..<512) == ["512 host"])
    }

    @Test(
        "A slot that can have no private pages: EPERM before anything changes",
        arguments: [MemoryAttribute.private, .shared])
    func slotWithoutGuestMemory(attribute: MemoryAttribute) throws {
        let guest = try TestGuest(pages: 512)
        let user = try UserMemory(host: guest.host, byteCount: 0x4000)
        try guest.vm.setMemoryRegion(
            MemoryRegion(slot: 1, gpa: (guest.base + 512).address, byteCount: 0x4000, userMemory: user))
        try guest.allocate(0..<512)
        // The range must not be uniform, or there is nothing to do.
        if attribute == .shared { try guest.convert(0..<512, to: .private) }
        #expect(guest.fault(3, isPrivate: attribute == .shared) == .resume)
        let (before, mapping, counts) = (guest.state, guest.mapping(3), guest.vm.conversionCounts)
        let failure = guest.convertFailure(0..<514, to: attribute)
        #expect(failure == ConversionFailure(.notPermitted, gfn: guest.base + 512))
        #expect(guest.state == before)
        #expect(guest.mapping(3) == mapping && mapping != nil, "nothing was zapped")
        #expect(guest.vm.conversionCounts == counts)
    }

    @Test("In check order: EIO, then EINVAL for flags, size, wrap, alignment and guest addresses; nothing changes")
    func arguments() throws {
        let guest = try TestGuest(pages: 512)
        let cases: [(gpa: UInt64, byteCount: UInt64, flags: UInt64)] = [
            (0x1000, 0x1000, 1), (0x1000, 0, 0), (~0xfff, 0x2000, 0), (~0xfff, 0x1000, 0), (0x1001, 0x1000, 0),
            (0x1000, 0x1001, 0), (0x1000, 0xfff, 0), (1 << 48, 0x1000, 0), ((1 << 48) - 0x1000, 0x2000, 0),
        ]
        for (gpa, byteCount, flags) in cases {
            #expect(throws: ConversionFailure(.invalidArgument), "\(gpa) \(byteCount) \(flags)") {
                try guest.vm.setMemoryAttributes(GPA(gpa), byteCount: byteCount, to: .private, flags: flags)
            }
        }
        #expect(guest.vm.attributeRuns(in: GFN(0)..<GFN(1 << 36)).count == 1)
        try guest.vm.setMemoryAttributes(GPA((1 << 48) - 0x1000), byteCount: 0x1000, to: .private)
        #expect(guest.vm.attribute(of: GFN((1 << 36) - 1)) == .private)
        guest.vm.kill("for the test")
        #expect(throws: ConversionFailure(.ioError)) {
            try guest.vm.setMemoryAttributes(GPA(1), byteCount: 0, to: .private, flags: 1)
        }
    }

    @Test("Frames that nothing backs are passed over and counted")
    func unbacked() throws {
        let guest = try TestGuest(folioOrder: 0)
        try guest.allocate(3..<5)
        try guest.allocate(1200..<1201)
        let counts = try guest.convert(0..<2048, to: .private)
        #expect(counts.madePrivate == 3 && counts.skipped == 2045 && counts.rmp.updates == 3)
        #expect(guest.privatePages == [0..<2048])
        #expect(guest.sizes(0..<6) == ["3 unbacked", "2 4K", "1 unbacked"])
        #expect(guest.violations == [])
    }

    @Test("A range that has the attribute already costs nothing and keeps its mappings")
    func uniform() throws {
        let guest = try TestGuest()
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume)
        #expect(try guest.convert(0..<512, to: .private) == ConversionCounts())
        #expect(guest.mapping(0)?.level == .level2M)
    }

    @Test(
        "The largest page that folio, range and both alignments allow",
        arguments: [
            // offset of the guest base, pages to convert, what the RMP then says
            (0, 0..<512, ["512 2M", "1536 host"]),
            (0, 0..<2048, ["2048 2M"]),
            (0, 1..<512, ["1 host", "511 4K", "1536 host"]),
            (0, 0..<511, ["511 4K", "1537 host"]),
            (0, 511..<1025, ["511 host", "1 4K", "512 2M", "1 4K", "1023 host"]),
            (0, 100..<300, ["100 host", "200 4K", "1748 host"]),
            (1, 0..<2048, ["2048 4K"]),
            (256, 256..<768, ["256 host", "512 4K", "1280 host"]),
        ])
    func largestPage(offset: Int, pages: Range<Int>, expected: [String]) throws {
        let guest = try TestGuest(base: GFN(0x1000 + UInt64(offset)))
        try guest.allocate(0..<2048)
        let counts = try guest.convert(UInt64(pages.lowerBound)..<UInt64(pages.upperBound), to: .private)
        #expect(guest.sizes(0..<2048) == expected)
        #expect(counts.madePrivate == UInt64(pages.count))
        #expect(counts.rmp.psmashes == 0)
        #expect(guest.violations == [])
    }

    @Test("A slot's end cuts a 2 MiB page")
    func slotEnd() throws {
        let guest = try TestGuest(pages: 700)
        try guest.back(0, order: 9)
        try guest.back(512, order: 7)
        try guest.convert(0..<700, to: .private)
        #expect(guest.sizes(0..<700) == ["512 2M", "128 4K", "60 unbacked"])
    }

    @Test("A folio of order 1 to 8 is that many 4K entries, none skipped", arguments: UInt8(0)...8)
    func smallOrders(order: UInt8) throws {
        let guest = try TestGuest(pages: 1024, folioOrder: order)
        try guest.allocate(0..<1024)
        let counts = try guest.convert(0..<1024, to: .private)
        #expect(guest.sizes(0..<1024) == ["1024 4K"])
        #expect(counts.madePrivate == 1024 && counts.rmp.updates == 1024)
        #expect(guest.violations == [])
    }

    @Test("Pages that are the guest's already are left alone: what it has validated stays validated")
    func idempotent() throws {
        let guest = try TestGuest()
        try guest.allocate(0..<1024)
        try guest.convert(0..<512, to: .private)
        try guest.convert(600..<700, to: .private)
        #expect(guest.fault(0) == .resume)
        #expect(guest.fault(650) == .resume)
        #expect(try guest.validate(0, .size2M))
        #expect(try guest.validate(650))
        let counts = try guest.convert(0..<1024, to: .private)
        #expect(counts.madePrivate == 412 && counts.rmp.updates == 412)
        #expect(guest.entry(17).validated && guest.entry(650).validated && !guest.entry(651).validated)
        #expect(guest.sizes(0..<1024) == ["512 2M", "512 4K"])
        #expect(guest.violations == [])
    }

    @Test("A 1 GiB folio is 512 entries of 2 MiB; the direct map keeps its 1 GiB page until a part is shared again")
    func gigabyteFolio() throws {
        let guest = try TestGuest(pages: 1 << 18, folioOrder: 18, base: GFN(1 << 18), dramByteCount: 3 << 30)
        try guest.allocate(0..<1)
        #expect(guest.file.folios.folio(at: 262_143)?.order == 18)
        let counts = try guest.convert(0..<1 << 18, to: .private)
        #expect(counts.rmp.updates == 512 && counts.madePrivate == 1 << 18 && counts.directMapSplits == 0)
        for page in [0, 511, 512, 131_072, 262_143] as [UInt64] {
            #expect(guest.entry(page).pageSize == .size2M && guest.entry(page).gfn == guest.base + page)
        }
        #expect(guest.level(5) == .level1G)
        let back = try guest.convert(1025..<1026, to: .shared)
        #expect(back.rmp.psmashes == 1 && back.rmp.updates == 1 && back.directMapSplits == 2)
        #expect(guest.sizes(1024..<1536) == ["1 4K", "1 host", "510 4K"])
        #expect(guest.level(1025) == .level4K && guest.level(0) == .level2M)
        #expect(guest.violations == [])
        let rest = try guest.convert(0..<1 << 18, to: .shared)
        #expect(rest.rmp.updates == 511 + 511 && rest.rmp.psmashes == 0 && rest.directMapCollapses == 2)
        #expect(guest.level(1025) == .level1G)
        #expect(guest.violations == [])
    }
}
