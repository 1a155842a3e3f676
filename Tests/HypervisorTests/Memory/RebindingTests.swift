// A guest_memfd that a new slot shows at another address, or after its attributes have changed.

import Machine
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("A file bound again")
struct RebindingTests {
    /// Deletes the slot and shows pages of the file from `gfn` on.
    private func rebind(_ guest: TestGuest, at gfn: GFN, from page: UInt64 = 0, count: UInt64) throws {
        let user = try UserMemory(host: guest.host, byteCount: count << 12)
        try deleteSlot(guest)
        var region = MemoryRegion(
            slot: 1, gpa: gfn.address, byteCount: count << 12, userMemory: user, guestMemory: guest.file)
        region.guestOffset = page << 12
        try guest.vm.setMemoryRegion(region)
    }

    private func deleteSlot(_ guest: TestGuest) throws {
        let user = try UserMemory(host: guest.host, byteCount: 4096)
        try guest.vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: guest.base.address, byteCount: 0, userMemory: user))
    }

    private func touch(_ guest: TestGuest, _ gfn: GFN) -> FaultOutcome {
        guest.vm.handleNestedPageFault(gfn.address, [.user, .finalAddress, .encrypted])
    }

    @Test("At the same address the guest's pages stay its own, validated")
    func sameAddress() throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1024)
        try guest.convert(0..<1024, to: .private)
        #expect(guest.fault(5) == .resume)
        #expect(try guest.validate(0, .size2M))
        try rebind(guest, at: guest.base, count: 1024)
        #expect(guest.sizes(0..<1024) == ["1024 2M"])
        #expect(guest.entry(0).validated)
        #expect(guest.violations == [])
    }

    @Test(
        "At another address the eager policy takes them back, and the first fault assigns them anew",
        arguments: [
            0 as UInt64, 9,
        ])
    func otherAddress(order: UInt64) throws {
        let guest = try TestGuest(pages: 1024, folioOrder: UInt8(order))
        try guest.allocate(0..<1024)
        try guest.convert(0..<1024, to: .private)
        let other = guest.base + 0x10000
        try guest.vm.setMemoryAttributes(other.address, byteCount: 1024 << 12, to: .private)
        try rebind(guest, at: other, count: 1024)
        #expect(guest.sizes(0..<1024) == ["1024 host"])
        #expect(guest.violations == [])
        #expect(touch(guest, other + 700) == .resume)
        #expect(guest.entry(700).gfn == other + 700)
        #expect(guest.violations == [])
    }

    @Test("A 2M page that the new slot shows in part is split, and the rest stays as it was")
    func partOfLargePage() throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1024)
        try guest.convert(0..<1024, to: .private)
        let other = guest.base + 0x10000
        try guest.vm.setMemoryAttributes(other.address, byteCount: 512 << 12, to: .private)
        try rebind(guest, at: other, from: 256, count: 512)
        #expect(guest.sizes(0..<1024) == ["256 4K", "512 host", "256 4K"])
        #expect(guest.violations == [])
        #expect(touch(guest, other) == .resume)
        #expect(guest.entry(256).gfn == other)
        #expect(guest.violations == [])
    }

    @Test("A page whose address became shared while no slot showed it is taken back")
    func sharedMeanwhile() throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1024)
        try guest.convert(0..<1024, to: .private)
        try deleteSlot(guest)
        try guest.convert(3..<5, to: .shared)
        let user = try UserMemory(host: guest.host, byteCount: 1024 << 12)
        try guest.vm.setMemoryRegion(
            MemoryRegion(
                slot: 0, gpa: guest.base.address, byteCount: 1024 << 12, userMemory: user, guestMemory: guest.file))
        #expect(guest.sizes(0..<1024) == ["3 4K", "2 host", "507 4K", "512 2M"])
        #expect(guest.violations == [])
    }

    @Test("Pages that were backed and made private before a slot showed them wait for their faults")
    func backedBeforeSlot() throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1024)
        let other = guest.base + 0x10000
        try guest.vm.setMemoryAttributes(other.address, byteCount: 1024 << 12, to: .private)
        try rebind(guest, at: other, count: 1024)
        #expect(guest.violations == [])
        #expect(touch(guest, other + 1) == .resume)
        #expect(guest.sizes(0..<512) == ["512 foreign"], "at the slot's new address, not at the first slot's")
        #expect(guest.violations == [])
    }

    @Test("The lazy policy leaves them, as Linux does: a fault goes to the VMM, until the page is freed")
    func lazy() throws {
        let guest = try TestGuest(pages: 1024, policy: LazyPolicy())
        try guest.convert(0..<1024, to: .private)
        #expect(guest.fault(5) == .resume)
        let other = guest.base + 0x10000
        try guest.vm.setMemoryAttributes(other.address, byteCount: 1024 << 12, to: .private)
        try rebind(guest, at: other, count: 1024)
        #expect(guest.violations == [])
        #expect(
            touch(guest, other + 5)
                == .memoryFault(
                    gpa: (other + 5).address, byteCount: 4096, isPrivate: true, errno: .invalidArgument))
        try guest.punchHole(0..<1024)
        #expect(touch(guest, other + 5) == .resume)
        #expect(guest.entry(5).gfn == other + 5)
        #expect(guest.violations == [])
    }

    @Test(
        "A page that does not come back refuses the slot, and the next try may succeed",
        arguments: [
            RMPInstruction.rmpUpdate, .psmash,
        ])
    func refused(instruction: RMPInstruction) throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1024)
        try guest.convert(0..<1024, to: .private)
        let other = guest.base + 0x10000
        let isPartly: UInt64 = instruction == .psmash ? 256 : 0
        guest.rmp.fail(instruction, calls: 1...1, with: .failPermission)
        #expect(throws: Errno.invalidArgument) { try rebind(guest, at: other, from: isPartly, count: 512) }
        guest.rmp.injection.set(nil)
        #expect(guest.vm.memorySlots.isEmpty)
        #expect(guest.violations == [])
        let user = try UserMemory(host: guest.host, byteCount: 512 << 12)
        var region = MemoryRegion(
            slot: 1, gpa: other.address, byteCount: 512 << 12, userMemory: user, guestMemory: guest.file)
        region.guestOffset = isPartly << 12
        try guest.vm.setMemoryRegion(region)
        #expect(guest.violations == [])
    }
}
