// Memory slots and guest memory files: what is refused, and that a deleted slot is gone for faults too.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Memory slots and guest memory files")
struct MemorySlotTests {
    @Test("A file is refused for flags, size 0, unaligned sizes and orders that do not exist")
    func createGuestMemory() throws {
        let guest = try TestGuest()
        #expect(throws: Errno.invalidArgument) { try guest.vm.createGuestMemory(byteCount: 4096, flags: 1) }
        for size in [0, 1, 4095, 1 << 48] as [UInt64] {
            #expect(throws: Errno.invalidArgument, "\(size)") { try guest.vm.createGuestMemory(byteCount: size) }
        }
        for order in [10, 17, 19, 255] as [UInt8] {
            #expect(throws: Errno.invalidArgument, "\(order)") {
                try guest.vm.createGuestMemory(byteCount: 4096, folioOrder: order)
            }
        }
        for (offset, byteCount) in [
            (1, 4096), (0, 0), (0, 4097), (2048 << 12, 4096), (0, 2049 << 12), (~0xfff, 0x2000),
        ] as [(UInt64, UInt64)] {
            #expect(throws: Errno.invalidArgument) {
                try guest.vm.allocate(guest.file, offset: offset, byteCount: byteCount)
            }
        }
    }

    @Test("A slot is refused in the order: arguments, existing slot, guest memory, user memory, overlap")
    func refusals() throws {
        let guest = try TestGuest()
        let other = try VirtualMachine(host: guest.host)
        let foreign = try other.createGuestMemory(byteCount: 0x10000)
        let file = try guest.vm.createGuestMemory(byteCount: 0x10000)
        let user = try UserMemory(host: guest.host, byteCount: 0x10000)
        func region(_ change: (inout MemoryRegion) -> Void) -> MemoryRegion {
            var region = MemoryRegion(slot: 1, gpa: GPA(0), byteCount: 0x4000, userMemory: user, guestMemory: file)
            change(&region)
            return region
        }
        let refused: [(MemoryRegion, Errno)] = [
            (region { $0.flags = 1 }, .invalidArgument),
            (region { $0.slot = VirtualMachine.slotLimit }, .invalidArgument),
            (region { $0.gpa = GPA(1) }, .invalidArgument),
            (region { $0.byteCount = 0x4001 }, .invalidArgument),
            (region { $0.userOffset = 8 }, .invalidArgument),
            (region { $0.guestOffset = 8 }, .invalidArgument),
            (region { $0.gpa = GPA(1 << 48 - 0x1000) }, .invalidArgument),
            (region { $0.gpa = GPA(~0xfff) }, .invalidArgument),
            (region { $0.byteCount = 0 }, .invalidArgument),
            (region { $0.slot = 0 }, .invalidArgument),
            (region { $0.guestMemory = foreign }, .invalidArgument),
            (region { $0.guestOffset = 0xd000 }, .invalidArgument),
            (region { $0.guestOffset = 1 << 63 }, .invalidArgument),
            (region { $0.userOffset = 0xd000 }, .invalidArgument),
            (region { $0.userOffset = 1 << 63 }, .invalidArgument),
            (region { $0.gpa = guest.base.address }, .exists),
            (region { $0.gpa = (guest.base + 2047).address }, .exists),
            (
                region {
                    $0.guestMemory = guest.file; $0.guestOffset = 0x1000
                }, .invalidArgument
            ),
        ]
        for (number, (region, errno)) in refused.enumerated() {
            #expect(throws: errno, "case \(number)") { try guest.vm.setMemoryRegion(region) }
        }
        #expect(guest.vm.memorySlots.count == 1)
        try guest.vm.setMemoryRegion(region { _ in })
        #expect(throws: Errno.invalidArgument, "the file's pages are bound") {
            try guest.vm.setMemoryRegion(
                region {
                    $0.slot = 2; $0.gpa = GPA(0x8000); $0.guestOffset = 0x3000
                })
        }
        try guest.vm.setMemoryRegion(
            region {
                $0.slot = 2; $0.gpa = GPA(0x8000); $0.guestOffset = 0x4000
            })
        #expect(guest.vm.memorySlots.map(\.id) == [1, 2, 0])
    }

    @Test("A deleted slot is a hole: mappings gone, faults are devices, its number and file pages free again")
    func deletion() throws {
        let guest = try TestGuest()
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume && guest.fault(600, isPrivate: false) == .resume)
        let user = guest.vm.memorySlots[0].userMemory
        try guest.vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: GPA(0), byteCount: 0, userMemory: user))
        #expect(guest.mapping(0) == nil && guest.mapping(600) == nil)
        #expect(guest.fault(0) == .mmio(gpa: guest.base.address))
        #expect(guest.vm.memorySlots.isEmpty)
        // The guest's pages stay in the file and in the RMP until the file frees them.
        try guest.vm.setMemoryRegion(
            MemoryRegion(
                slot: 0, gpa: guest.base.address, byteCount: 2048 << 12, userMemory: user, guestMemory: guest.file))
        #expect(guest.fault(0) == .resume)
        #expect(guest.mapping(0)?.level == .level2M)
        #expect(guest.violations == [])
    }

    @Test("Private pages that a new slot shows at another guest address are taken back, and assigned anew by a fault")
    func movedSlot() throws {
        let guest = try TestGuest()
        try guest.allocate(0..<512)
        try guest.convert(0..<512, to: .private)
        let user = guest.vm.memorySlots[0].userMemory
        try guest.vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: GPA(0), byteCount: 0, userMemory: user))
        let gpa = (guest.base + 0x1000).address
        try guest.vm.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: gpa, byteCount: 2048 << 12, userMemory: user, guestMemory: guest.file))
        #expect(guest.entry(0).assigned == false)
        try guest.vm.setMemoryAttributes(gpa, byteCount: 0x1000, to: .private)
        #expect(guest.vm.handleNestedPageFault(gpa, [.encrypted]) == .resume)
        #expect(guest.entry(0).gfn == gpa.frame)
        #expect(guest.violations == [])
    }

    @Test("A fault at the new address of such pages goes to the VMM with EINVAL")
    func faultInMovedSlot() throws {
        let guest = try TestGuest(policy: LazyPolicy())
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume)
        let user = guest.vm.memorySlots[0].userMemory
        try guest.vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: GPA(0), byteCount: 0, userMemory: user))
        let gpa = (guest.base + 0x1000).address
        try guest.vm.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: gpa, byteCount: 2048 << 12, userMemory: user, guestMemory: guest.file))
        try guest.vm.setMemoryAttributes(gpa, byteCount: 0x1000, to: .private)
        let refused = FaultOutcome.memoryFault(gpa: gpa, byteCount: 4096, isPrivate: true, errno: .invalidArgument)
        #expect(guest.vm.handleNestedPageFault(gpa, [.encrypted]) == refused)
        #expect(guest.vm.nested.mapping(of: gpa.frame) == nil)
        #expect(guest.entry(0).gfn == guest.base && guest.entry(0).pageSize == .size2M)
    }

    @Test("Backing is zero for its first user and for every later one")
    func clearing() throws {
        let guest = try TestGuest(pages: 1024)
        try guest.allocate(0..<1)
        let pfn = guest.pfn(0)
        try guest.host.write([1, 2, 3], at: pfn.address)
        try guest.punchHole(0..<512)
        try guest.convert(0..<512, to: .private)
        #expect(guest.fault(0) == .resume)
        #expect(guest.pfn(0) == pfn)
        #expect(guest.emulated.machine.memory.bytes(pfn.address, count: 8) == [UInt8](repeating: 0, count: 8))
    }
}
