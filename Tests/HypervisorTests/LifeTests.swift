// The end of a machine: dead ones answer EIO, destroyed ones give everything back.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Death and destruction")
struct LifeTests {
    @Test("A dead machine answers EIO to every call")
    func dead() throws {
        let guest = try TestGuest(pages: 512)
        try guest.allocate(0..<512)
        guest.vm.kill("first")
        guest.vm.kill("second")
        #expect(guest.vm.causeOfDeath == "first")
        let user = try UserMemory(host: guest.host, byteCount: 4096)
        #expect(throws: ConversionFailure(.ioError)) { try guest.convert(0..<1, to: .private) }
        #expect(throws: Errno.ioError) { try guest.vm.createGuestMemory(byteCount: 4096) }
        #expect(throws: Errno.ioError) { try guest.allocate(0..<1) }
        #expect(throws: Errno.ioError) {
            try guest.vm.setMemoryRegion(MemoryRegion(slot: 9, gpa: GPA(0), byteCount: 4096, userMemory: user))
        }
        #expect(throws: Errno.ioError) { try guest.vm.preFault(guest.base.address, byteCount: 4096) }
        #expect(throws: Errno.ioError) { try guest.vm.createVirtualCPU(id: 0, initialState: VMSA()) }
        #expect(throws: SEVCommandError(.ioError)) { try guest.vm.sevInit2() }
        #expect(throws: SEVCommandError(.ioError)) { try guest.vm.snpLaunchStart(policy: .standard) }
        #expect(throws: SEVCommandError(.ioError)) { try guest.vm.snpLaunchFinish() }
        #expect(guest.fault(0, isPrivate: false) == .failed(.ioError))
        // Memory can still be freed.
        try guest.punchHole(0..<512)
        #expect(guest.sizes(0..<512) == ["512 unbacked"])
    }

    @Test("Destroying a machine gives back every frame and every RMP entry", arguments: [true, false])
    func destroy(isEager: Bool) throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        let free = emulated.host.allocator.freeFrameCount
        for _ in 0..<3 {
            try runGuest(on: emulated, isEager ? EagerPolicy() : LazyPolicy())
            #expect(emulated.host.allocator.freeFrameCount == free)
            #expect(emulated.host.checkInvariants(of: []) == [])
            #expect(emulated.machine.rmp.findViolations() == [])
            #expect((1..<100 as Range<UInt32>).allSatisfy { emulated.machine.rmp.assignedPageCount(of: ASID($0)) == 0 })
        }
    }

    private func runGuest(on emulated: EmulatedHost, _ policy: any ConversionPolicy) throws {
        let guest = try TestGuest(folioOrder: 9, policy: policy, on: emulated)
        try guest.vm.snpLaunchStart(policy: .standard)
        try guest.back(512, order: 3)
        try guest.allocate(0..<1500)
        try guest.convert(100..<1400, to: .private)
        for page in [100, 513, 1024, 1399] as [UInt64] { #expect(guest.fault(page) == .resume) }
        for page in [0, 99, 1400, 2047] as [UInt64] { #expect(guest.fault(page, isPrivate: false) == .resume) }
        try guest.convert(200..<210, to: .shared)
        #expect(guest.violations == [])
        guest.vm.destroy()
    }

    @Test("Destroying twice is nothing to do, and a destroyed machine answers EIO")
    func destroyTwice() throws {
        let guest = try TestGuest(pages: 512)
        try guest.allocate(0..<512)
        guest.vm.destroy()
        let free = guest.host.allocator.freeFrameCount
        guest.vm.destroy()
        #expect(guest.host.allocator.freeFrameCount == free)
        #expect(throws: ConversionFailure(.ioError)) { try guest.convert(0..<1, to: .private) }
        #expect(guest.fault(0) == .failed(.ioError))
        #expect(throws: Errno.ioError) { try guest.allocate(0..<1) }
        #expect(guest.mapping(0) == nil)
    }

    @Test("ASIDs are handed out again after a flush, and EBUSY when there are none")
    func asids() throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 32 << 20, minimumSEVASID: 4))
        let host = emulated.host
        var machines = try (0..<3).map { _ in
            let vm = try VirtualMachine(host: host)
            try vm.sevInit2()
            return vm
        }
        #expect(machines.compactMap(\.asid) == [ASID(1), ASID(2), ASID(3)])
        let fourth = try VirtualMachine(host: host)
        #expect(throws: SEVCommandError(.busy)) { try fourth.sevInit2() }
        machines.removeFirst().destroy()
        try fourth.sevInit2()
        #expect(fourth.asid == ASID(1))
    }

    @Test("INIT2 without a page for requests is ENOMEM, without one that firmware could be given EIO; nothing is lost")
    func requestPages() throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        let host = emulated.host
        let free = host.allocator.freeFrameCount
        let vm = try VirtualMachine(host: host)
        let before = host.allocator.freeFrameCount
        var taken: [FrameBlock] = []
        for order in [9, 0] as [UInt8] {
            while let block = host.allocator.allocate(order: order) { taken.append(block) }
        }
        #expect(throws: SEVCommandError(.noMemory)) { try vm.sevInit2() }
        let last = taken.removeLast()
        host.allocator.free(last.pfn, order: last.order)
        #expect(throws: SEVCommandError(.ioError)) { try vm.sevInit2() }
        #expect(host.allocator.freeFrameCount == 1 && vm.asid == nil)
        for block in taken { host.allocator.free(block.pfn, order: block.order) }
        emulated.machine.rmp.injection.set { instruction, _ in instruction == .rmpUpdate ? .failPermission : nil }
        #expect(throws: SEVCommandError(.ioError)) { try vm.sevInit2() }
        emulated.machine.rmp.injection.set(nil)
        #expect(host.allocator.freeFrameCount == before && host.leaked.count == 0)
        try vm.sevInit2()
        #expect(host.allocator.freeFrameCount == before - 3, "two pages, and a table for small mappings around them")
        vm.destroy()
        #expect(host.allocator.freeFrameCount == free && host.checkInvariants(of: []) == [])
    }
}
