// The VMM's own memory: frames on first use, and none kept mapped after it is given back.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("User memory")
struct UserMemoryTests {
    @Test("EINVAL for a size of 0 or unaligned; EFAULT past the end")
    func arguments() throws {
        let host = try EmulatedHost(MachineConfiguration(dramByteCount: 16 << 20)).host
        for size in [0, 1, 4097, 1 << 48] as [UInt64] {
            #expect(throws: Errno.invalidArgument) { try UserMemory(host: host, byteCount: size) }
        }
        let memory = try UserMemory(host: host, byteCount: 0x2000)
        #expect(throws: Errno.badAddress) { try memory.frame(at: 2) }
        #expect(throws: Errno.badAddress) { try memory.write([1, 2], at: 0x1fff) }
        #expect(throws: Errno.badAddress) { try memory.read(at: ~0, count: 1) }
    }

    @Test("Bytes come back over page ends; untouched and discarded pages read as zero, also in reused frames")
    func contents() throws {
        let host = try EmulatedHost(MachineConfiguration(dramByteCount: 16 << 20)).host
        let free = host.allocator.freeFrameCount
        var memory: UserMemory? = try UserMemory(host: host, byteCount: 0x4000)
        let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
        try memory?.write(bytes, at: 0xffe)
        #expect(try memory?.read(at: 0xffe, count: 5000) == bytes)
        #expect(try memory?.read(at: 0, count: 0xffe).allSatisfy { $0 == 0 } == true)
        memory?.discard(0..<100)
        #expect(host.allocator.freeFrameCount == free)
        #expect(try memory?.read(at: 0, count: 0x4000).allSatisfy { $0 == 0 } == true)
        memory = nil
        #expect(host.allocator.freeFrameCount == free)
    }

    @Test("Discarding pages takes them out of every guest that maps them")
    func discard() throws {
        let guest = try TestGuest()
        let user = guest.vm.memorySlots[0].userMemory
        for page in [3, 4, 5] as [UInt64] { #expect(guest.fault(page, isPrivate: false) == .resume) }
        user.discard(4..<5)
        #expect(guest.mapping(4) == nil)
        #expect(guest.mapping(3) != nil && guest.mapping(5) != nil)
        #expect(guest.violations == [])
        #expect(guest.fault(4, isPrivate: false) == .resume)
        #expect(guest.mapping(4)?.pfn == (try user.frame(at: 4)))
    }

    @Test("A mapping that leads to a free frame is a violation")
    func strayMappingIsFound() throws {
        let guest = try TestGuest()
        let free = try #require(guest.host.allocator.allocate(order: 9))
        guest.host.allocator.free(free.pfn, order: 9)
        try guest.vm.nested.lock.withLock { try guest.vm.nested.map(guest.base + 9, free.pfn + 5, .level4K) }
        #expect(guest.violations.map(\.number) == [3])
    }

    @Test("Discarding against faults, under every schedule")
    func discardAgainstFaults() throws {
        try explore(TestScale.seeds(100)) { seed in
            let guest = try TestGuest(pages: 1024, dramByteCount: 16 << 20)
            let user = guest.vm.memorySlots[0].userMemory
            for page in [0, 100] as [UInt64] { #expect(guest.fault(page, isPrivate: false) == .resume) }
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM") { user.discard(0..<200) }
            run.explorer.spawn("VMM 2") { try guest.convert(100..<101, to: .private) }
            run.touch("vCPU 0", guest, [0, 100])
            run.touch("vCPU 1", guest, [100, 0, 150])
            return run
        }
    }
}
