// Freeing backing pages: back from the guest, split if need be, or lost.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Punching holes")
struct PunchHoleTests {
    private func privateGuest(_ pages: UInt64 = 1536) throws -> TestGuest {
        let guest = try TestGuest(pages: pages)
        try guest.allocate(0..<pages)
        try guest.convert(0..<pages, to: .private)
        return guest
    }

    @Test("A part of a 2M entry: split once, the part freed, the rest the guest's and validated as before")
    func part() throws {
        let guest = try privateGuest()
        #expect(guest.fault(600) == .resume)
        #expect(try guest.validate(512, .size2M))
        let free = guest.host.allocator.freeFrameCount
        let before = guest.vm.conversionCounts
        let frames = (600..<610 as Range<UInt64>).map { guest.pfn($0) }
        try guest.punchHole(600..<610)
        let counts = guest.vm.conversionCounts
        #expect(counts.rmp.psmashes == before.rmp.psmashes + 1 && counts.rmp.updates == before.rmp.updates + 10)
        #expect(guest.sizes(0..<1536) == ["512 2M", "88 4K", "10 unbacked", "414 4K", "512 2M"])
        // Ten frames came back; one went to a table of the direct map.
        #expect(guest.host.allocator.freeFrameCount == free + 9)
        #expect(frames.allSatisfy { guest.host.allocator.isFree($0) })
        #expect(guest.entry(599).validated && guest.entry(610).validated)
        #expect(guest.mapping(512) == nil, "the 2 MiB mapping went whole")
        #expect(guest.privatePages == [0..<1536], "attributes stay")
        #expect(guest.violations == [])
        #expect(guest.fault(605) == .resume)
        #expect(guest.sizes(604..<607) == ["1 host", "1 4K", "1 host"])
        #expect(!guest.entry(605).validated)
        #expect(guest.violations == [])
    }

    @Test("A whole 2M entry: one update, no split")
    func whole() throws {
        let guest = try privateGuest()
        let before = guest.vm.conversionCounts.rmp
        try guest.punchHole(512..<1024)
        let after = guest.vm.conversionCounts.rmp
        #expect(after.psmashes == before.psmashes && after.updates == before.updates + 1)
        #expect(guest.sizes(0..<1536) == ["512 2M", "512 unbacked", "512 2M"])
        #expect(guest.violations == [])
    }

    @Test("A part of a 1 GiB folio splits the folio at its edges only")
    func gigabyte() throws {
        let guest = try TestGuest(pages: 1 << 18, folioOrder: 18, base: GFN(1 << 18), dramByteCount: 3 << 30)
        try guest.allocate(0..<1)
        try guest.convert(0..<1 << 18, to: .private)
        try guest.punchHole(1000..<2048)
        #expect(guest.sizes(0..<2560) == ["512 2M", "488 4K", "1048 unbacked", "512 2M"])
        #expect(guest.file.folios.folio(at: 0)?.order == 9 && guest.file.folios.folio(at: 999)?.order == 0)
        #expect(guest.file.folios.folio(at: 262_143)?.order == 9)
        #expect(guest.entry(262_143).pageSize == .size2M)
        #expect(guest.violations == [])
        guest.vm.destroy()
        #expect(guest.host.checkInvariants(of: []) == [])
    }

    @Test("EINVAL: unaligned, empty, wrapping; a range past the end is nothing to do")
    func arguments() throws {
        let guest = try privateGuest(512)
        for (offset, byteCount) in [(1, 4096), (0, 1), (0, 0), (~0xfff, 0x2000)] as [(UInt64, UInt64)] {
            #expect(throws: Errno.invalidArgument) {
                try guest.vm.punchHole(guest.file, offset: offset, byteCount: byteCount)
            }
        }
        try guest.vm.punchHole(guest.file, offset: 512 << 12, byteCount: 4096)
        try guest.vm.punchHole(guest.file, offset: 1 << 60, byteCount: 1 << 50)
        #expect(guest.sizes(0..<512) == ["512 2M"])
        try guest.vm.punchHole(guest.file, offset: 511 << 12, byteCount: 1 << 50)
        #expect(guest.sizes(0..<512) == ["511 4K", "1 unbacked"])
    }

    @Test(
        "A page that does not come back is leaked, not freed, and the machine is dead; the others are freed",
        arguments: [
            (RMPInstruction.rmpUpdate, 1), (.rmpUpdate, 4), (.psmash, 1),
        ])
    func leak(instruction: RMPInstruction, call: Int) throws {
        let guest = try privateGuest(512)
        let frames = (100..<110 as Range<UInt64>).map { guest.pfn($0) }
        guest.rmp.fail(instruction, calls: call...call, with: .failPermission)
        try guest.punchHole(100..<110)
        guest.rmp.injection.set(nil)
        let lost = frames[call - 1]
        #expect(guest.host.leaked.count == 1 && guest.host.leaked.contains(lost))
        #expect(!guest.host.allocator.isFree(lost))
        #expect(frames.filter { $0 != lost }.allSatisfy { guest.host.allocator.isFree($0) })
        #expect(guest.sizes(100..<110) == ["10 unbacked"])
        #expect(guest.vm.causeOfDeath != nil)
        #expect(guest.violations == [])
        guest.vm.destroy()
        #expect(guest.host.checkInvariants(of: []) == [])
        #expect(guest.host.leaked.count == 1)
    }

    @Test("A whole 2M entry that does not come back is leaked whole")
    func leakLarge() throws {
        let guest = try privateGuest(1024)
        guest.rmp.fail(.rmpUpdate, calls: 1...1, with: .failPermission)
        try guest.punchHole(0..<1024)
        guest.rmp.injection.set(nil)
        #expect(guest.host.leaked.count == 512)
        #expect(guest.violations == [])
    }
}
