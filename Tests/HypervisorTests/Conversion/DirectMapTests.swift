// The direct map follows the RMP: the host can always write what is its own, and large mappings come back.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Direct map")
struct DirectMapTests {
    /// A guest of 1 GiB that no other page's mapping lies in: SEV_INIT2 gives firmware a page elsewhere.
    private static func guestOfOneFolio(_ policy: any ConversionPolicy) throws -> TestGuest {
        let guest = try TestGuest(
            pages: 1 << 18, folioOrder: 18, base: GFN(1 << 18), policy: policy, dramByteCount: 3 << 30)
        try guest.allocate(0..<1 << 18)
        return guest
    }

    @Test("1G to 4K when a 4K page becomes private, and back to 1G when it is shared", arguments: [true, false])
    func splitAndRestore(isEager: Bool) throws {
        let policy: any ConversionPolicy = isEager ? EagerPolicy() : LazyPolicy()
        let guest = try Self.guestOfOneFolio(policy)
        #expect(guest.level(0) == .level1G)
        let frames = guest.host.allocator.freeFrameCount
        try guest.convert(3..<4, to: .private)
        if !isEager { #expect(guest.fault(3) == .resume) }
        #expect(guest.entry(3).assigned)
        #expect(guest.level(3) == .level4K)
        #expect(guest.host.directMap.level(of: guest.pfn(3).aligned(down: .size2M) + 1024) == .level2M)
        // The host writes its own neighbours, and not the guest's page.
        try guest.host.write([1], at: guest.pfn(2).address)
        try guest.host.write([1], at: guest.pfn(4).address)
        #expect(throws: Errno.badAddress) { try guest.host.write([1], at: guest.pfn(3).address) }
        let pfn = guest.pfn(4)
        if isEager { try guest.convert(3..<4, to: .shared) } else { try guest.punchHole(3..<4) }
        #expect(guest.host.directMap.level(of: pfn) == .level1G)
        if isEager { #expect(guest.host.allocator.freeFrameCount == frames, "the tables are given back") }
    }

    @Test("A 2M page needs no split, and its 2 MiB cannot be written")
    func largePage() throws {
        let guest = try Self.guestOfOneFolio(EagerPolicy())
        let counts = try guest.convert(0..<512, to: .private)
        #expect(counts.directMapSplits == 0 && guest.level(0) == .level1G)
        #expect(throws: Errno.badAddress) { try guest.host.write([1], at: guest.pfn(100).address) }
        try guest.host.write([1], at: (guest.pfn(0) + 512).address)
    }

    @Test("A region stays small while any page in it is the guest's")
    func lastPage() throws {
        let guest = try TestGuest(pages: 512)
        try guest.allocate(0..<512)
        try guest.convert(0..<3, to: .private)
        try guest.convert(0..<1, to: .shared)
        #expect(guest.level(0) == .level4K)
        try guest.convert(2..<3, to: .shared)
        #expect(guest.level(0) == .level4K)
        let last = try guest.convert(1..<2, to: .shared)
        #expect(guest.level(0) == .level2M && last.directMapCollapses == 1)
    }

    @Test("Pages that firmware keeps as long as a guest lives do not hold the mapping of guests' memory small")
    func firmwarePages() throws {
        let guest = try TestGuest(pages: 8, folioOrder: 0)
        try guest.vm.snpLaunchStart(policy: .standard)
        try guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
        try guest.vm.snpLaunchFinish()
        try guest.allocate(0..<4)
        let assigned = (512..<guest.host.machine.rmp.tableFrames[0].lowerBound.rawValue).map { PFN($0) }
            .filter { guest.rmp.effectiveEntry($0)?.assigned == true }
        #expect(assigned.count == 3, "the answers' page, the context, the VMSA")
        let region = guest.pfn(0).aligned(down: .size2M)
        #expect(assigned.allSatisfy { $0.aligned(down: .size2M) != region })
        #expect(guest.level(0) == .level2M)
        let there = try guest.convert(0..<4, to: .private)
        #expect(there.directMapSplits == 1 && guest.level(0) == .level4K)
        let back = try guest.convert(0..<4, to: .shared)
        #expect(back.directMapCollapses == 1 && guest.level(0) == .level2M)
        #expect(guest.violations == [])
    }

    @Test("A host with no 2 MiB left gives firmware pages beside guests' own, and its mapping stays small for them")
    func firmwarePagesInShortMemory() throws {
        let guest = try TestGuest(pages: 8, folioOrder: 0, dramByteCount: 16 << 20)
        try guest.allocate(0..<4)
        var blocks: [FrameBlock] = []
        for order in [9, 0] as [UInt8] {
            while let block = guest.host.allocator.allocate(order: order) { blocks.append(block) }
        }
        // What is left are frames of the guest's 2 MiB, and one for the direct map's table elsewhere.
        let region = guest.pfn(0).aligned(down: .size2M)
        for block in blocks where block.order == 0 && block.pfn.aligned(down: .size2M) == region {
            guest.host.allocator.free(block.pfn, order: 0)
        }
        try guest.vm.snpLaunchStart(policy: .standard)
        let context = try #require(guest.vm.contextPage)
        #expect(context.aligned(down: .size2M) == region && guest.level(0) == .level4K)
        try guest.convert(0..<4, to: .private)
        #expect(try guest.convert(0..<4, to: .shared).directMapCollapses == 0)
        #expect(guest.level(0) == .level4K)
        guest.vm.destroy()
        #expect(guest.host.directMap.level(of: region) == .level2M)
    }

    @Test("A refused fault leaves the direct map as it was")
    func refusedFault() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        try guest.allocate(0..<512)
        try guest.convert(0..<1, to: .private)
        guest.rmp.fail(.rmpUpdate, calls: 1...1, with: .failPermission)
        let outcome = guest.fault(0)
        guest.rmp.injection.set(nil)
        #expect(
            outcome == .memoryFault(gpa: guest.base.address, byteCount: 4096, isPrivate: true, errno: .invalidArgument))
        #expect(guest.level(0) == .level2M)
        #expect(guest.fault(0) == .resume)
        #expect(guest.level(0) == .level4K)
    }

    @Test("Punching a hole without a frame for the tables leaks the page and does not strand the host")
    func punchWithoutTables() throws {
        let guest = try TestGuest(pages: 512)
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        let (lost, kept) = (guest.pfn(7), guest.pfn(8))
        let blocks = guest.exhaustMemory()
        try guest.punchHole(7..<8)
        #expect(!guest.host.allocator.isFree(lost), "the host could not write it through its 2 MiB mapping")
        #expect(guest.host.leaked.contains(lost))
        #expect(guest.vm.causeOfDeath != nil)
        #expect(guest.rmp.effectiveEntry(kept)?.assigned == true)
        for block in blocks { guest.host.allocator.free(block.pfn, order: block.order) }
        #expect(guest.violations == [])
    }
}
