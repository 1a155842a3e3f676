// The debug commands, SNP_PAGE_SET_STATE and SNP_ACTIVATE_EX: what they do when they succeed.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Debug, page states and partial activation")
struct DebugTests {
    @Test("DBG_DECRYPT shows the host what the guest sees, DBG_ENCRYPT writes what the guest sees")
    func roundTrip() throws {
        let platform = try TestPlatform()
        try platform.makeGuest(policy: [.standard, .debugAllowed])
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000)))
        try platform.makeFirmware(TestPage.status)
        let context = TestPage.context.address
        let memory = platform.machine.memory
        #expect(memory.bytes(TestPage.page.address, count: 4096) != patternPage, "the host alone sees ciphertext")
        try platform.require(
            platform.run(
                DebugDecryptBuffer(
                    context: context, source: TestPage.page.address, destination: TestPage.status.address)))
        #expect(memory.bytes(TestPage.status.address, count: 4096) == patternPage)
        platform.setEntry(TestPage.page) { $0.immutable = true }
        let before = platform.machine.rmp.rawEntry(TestPage.page)
        let other = [UInt8](patternPage.reversed())
        memory.store(other, at: TestPage.idBlock.address)
        try platform.require(
            platform.run(
                DebugEncryptBuffer(
                    context: context, source: TestPage.idBlock.address, destination: TestPage.page.address)))
        let key = memory.encryption.key(for: ASID(5))
        #expect(key.map { memory.bytes(TestPage.page.address, count: 4096, key: $0) } == other)
        #expect(memory.bytes(TestPage.page.address, count: 4096) != other)
        #expect(platform.machine.rmp.rawEntry(TestPage.page) == before)
    }

    @Test("register protection of a VMSA is taken away to read it and put on to write it")
    func protectedVMSA() throws {
        let platform = try TestPlatform()
        try platform.makeGuest(policy: [.standard, .debugAllowed])
        var vmsa = [UInt8](repeating: 0, count: 4096)
        vmsa.store(UInt64(1 << 14 | 1), at: 0x3b0)
        vmsa.store(UInt64(0x1234_5678), at: 0x178)
        try platform.require(platform.load(.vmsa, vmsa, at: GPA(0xffff_ffff_f000)))
        try platform.makeFirmware(TestPage.status)
        let memory = platform.machine.memory
        let key = try #require(memory.encryption.key(for: ASID(5)))
        let stored = memory.bytes(TestPage.page.address, count: 4096, key: key)
        #expect(stored.integer(at: 0x178) as UInt64 != 0x1234_5678)
        let context = TestPage.context.address
        try platform.require(
            platform.run(
                DebugDecryptBuffer(
                    context: context, source: TestPage.page.address, destination: TestPage.status.address)))
        let seen = memory.bytes(TestPage.status.address, count: 4096)
        #expect(seen.integer(at: 0x178) as UInt64 == 0x1234_5678)
        platform.setEntry(TestPage.page) { $0.immutable = true }
        memory.store([UInt8](repeating: 0, count: 4096), at: TestPage.page.address, key: key)
        try platform.require(
            platform.run(
                DebugEncryptBuffer(
                    context: context, source: TestPage.status.address, destination: TestPage.page.address)))
        #expect(memory.bytes(TestPage.page.address, count: 4096, key: key) == stored)
    }

    @Test("a 4K page inside a 2M page of the guest is read by the 2M entry")
    func largePage() throws {
        let platform = try TestPlatform()
        try platform.makeGuest(policy: [.standard, .debugAllowed])
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x20_0000), .size2M)
        try platform.makeFirmware(TestPage.status)
        let key = try #require(platform.machine.memory.encryption.key(for: ASID(5)))
        platform.machine.memory.store(patternPage, at: (TestPage.large + 7).address, key: key)
        let status = platform.run(
            DebugDecryptBuffer(
                context: TestPage.context.address, source: (TestPage.large + 7).address,
                destination: TestPage.status.address))
        #expect(status == .success)
        #expect(platform.machine.memory.bytes(TestPage.status.address, count: 4096) == patternPage)
    }

    @Test("PAGE_SET_STATE changes all pages or none, and RMPUPDATE refuses them from then on")
    func setState() throws {
        let platform = try TestPlatform()
        for index in 0..<3 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
        func run(_ count: UInt32) -> FirmwareStatus {
            let list = RangeList([PageRange(base: TestPage.large.address, pageCount: count)])
            platform.machine.memory.store(list.encoded, at: TestPage.idBlock.address)
            return platform.run(PageSetStateBuffer(list: TestPage.idBlock.address))
        }
        #expect(run(4) == .invalidPageState && platform.machine.rmp.entry(TestPage.large).state == .firmware)
        #expect(run(3) == .success)
        for index in 0..<3 as Range<UInt64> {
            let pfn = TestPage.large + index
            #expect(platform.machine.rmp.rawEntry(pfn) == RMPEntryRaw(low: 4, high: 0))
            #expect(throws: RMPStatus.self) { try platform.makeFirmware(pfn) }
        }
    }

    @Test("ACTIVATE_EX gives an ASID on some complexes and adds more, and takes no other ASID")
    func activateEx() throws {
        let platform = try TestPlatform(coreCount: 8, configuration: FirmwareConfiguration(coresPerCCX: 2))
        try platform.makeGuest(asid: nil)
        func run(_ cores: [UInt8], _ asid: UInt32 = 5) -> FirmwareStatus {
            platform.machine.memory.store(cores.flatMap { [$0, 0, 0, 0] }, at: TestPage.idBlock.address)
            return platform.run(
                ActivateExBuffer(
                    context: TestPage.context.address, asid: ASID(asid), count: UInt32(cores.count),
                    list: TestPage.idBlock.address))
        }
        func record() -> ASIDRecord { platform.firmware.withFirmware { $0.asids[ASID(5)] } }
        #expect(run([0, 5]) == .success)
        #expect(record() == ASIDRecord(clean: 0b1010, allocated: 0b0101))
        #expect(run([3]) == .success && record() == ASIDRecord(clean: 0b1000, allocated: 0b0111))
        #expect(run([6], 6) == .active)
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000)))
        try platform.require(platform.run(LaunchFinishBuffer(context: TestPage.context.address)))
        #expect(run([7]) == .success && record() == ASIDRecord(inUse: 0b1111))
        try platform.require(platform.run(DecommissionBuffer(context: TestPage.context.address)))
        #expect(record() == ASIDRecord(dirty: 0b1111))
    }
}
