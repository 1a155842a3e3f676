// An ASID from SNP_INIT to its second guest, and the platform from INIT to shutdown.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Life of an ASID")
struct ASIDLifeCycleTests {
    @Test("ACTIVATE right after SNP_INIT needs WBINVD and DF_FLUSH first")
    func firstUse() throws {
        let platform = try TestPlatform(initialized: false)
        #expect(platform.run(.snpInit) == .success)
        try platform.makeGuest(asid: nil)
        let activate = ActivateBuffer(context: TestPage.context.address, asid: ASID(5))
        #expect(platform.run(activate) == .dfFlushRequired)
        #expect(platform.run(.snpDFFlush) == .wbinvdRequired)
        #expect(platform.run(activate) == .dfFlushRequired)
        platform.machine.cores.writeBackAndInvalidate()
        #expect(platform.run(.snpDFFlush) == .success)
        #expect(platform.run(activate) == .success)
        #expect(platform.run(activate) == .asidOwned)
        #expect(platform.run(ActivateBuffer(context: TestPage.context.address, asid: ASID(6))) == .active)
        try platform.makeGuest(TestPage.agent, asid: nil)
        #expect(platform.run(ActivateBuffer(context: TestPage.agent.address, asid: ASID(5))) == .asidOwned)
    }

    @Test("an ASID whose guest ran is reused after its pages are gone, WBINVD and DF_FLUSH")
    func reuse() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(platform.guest?.isActive == false && platform.guest?.asid == ASID(5))
        #expect(try platform.load(.normal, patternPage, at: GPA(0x1000)) == .success)
        #expect(platform.run(LaunchFinishBuffer(context: TestPage.context.address)) == .success)
        #expect(platform.guest?.isActive == true && platform.guest?.state == .running)
        #expect(platform.firmware.platformStatus.guestCount == 1)
        #expect(platform.run(DecommissionBuffer(context: TestPage.context.address)) == .success)
        #expect(platform.firmware.platformStatus.guestCount == 0)
        #expect(platform.machine.encryption.key(for: ASID(5)) == nil)
        #expect(platform.machine.rmp.entry(TestPage.context).state == .firmware)

        try platform.makeGuest(TestPage.agent, asid: nil)
        let activate = ActivateBuffer(context: TestPage.agent.address, asid: ASID(5))
        #expect(platform.run(activate) == .invalidConfig)
        try platform.machine.rmp.rmpUpdate(TestPage.page.address, to: .shared(.size4K))
        #expect(platform.run(activate) == .dfFlushRequired)
        #expect(platform.run(.snpDFFlush) == .wbinvdRequired, "decommissioning cleared the cores' flags")
        try platform.flush()
        #expect(platform.run(activate) == .success)
    }

    @Test("an ASID whose guest never ran is clean at once")
    func neverRan() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(platform.run(DecommissionBuffer(context: TestPage.context.address)) == .success)
        try platform.makeGuest(TestPage.agent, asid: ASID(5))
        #expect(platform.firmware.inspectGuest(context: TestPage.agent.address)?.asid == ASID(5))
    }

    @Test("DF_FLUSH keeps what it did on the complexes that were written back")
    func partialFlush() throws {
        let platform = try TestPlatform(coreCount: 16, initialized: false)
        #expect(platform.run(.snpInit) == .success)
        for core in 0..<8 { platform.machine.cores.update(core) { $0.writtenBack = true } }
        #expect(platform.run(.snpDFFlush) == .wbinvdRequired)
        let record = platform.firmware.withFirmware { $0.asids[ASID(5)] }
        #expect(record == ASIDRecord(dirty: 2, clean: 1))
        for core in 8..<16 { platform.machine.cores.update(core) { $0.writtenBack = true } }
        #expect(platform.run(.snpDFFlush) == .success)
        #expect(platform.firmware.withFirmware { $0.asids[ASID(5)] } == ASIDRecord(clean: 3))
    }

    @Test("the limits of ASIDs: 99 is the last for SNP here, 1006 the last with a key, 2047 the last with a counter")
    func limits() throws {
        let platform = try TestPlatform()
        try platform.makeGuest(asid: nil)
        let expected: [(UInt32, FirmwareStatus)] = [
            (0, .invalidASID), (100, .invalidASID), (1006, .invalidASID), (1007, .invalidASID), (2047, .invalidASID),
            (2048, .invalidASID), (.max, .invalidASID), (99, .success),
        ]
        for (asid, status) in expected {
            let buffer = ActivateBuffer(context: TestPage.context.address, asid: ASID(asid))
            #expect(platform.run(buffer) == status, "ASID \(asid)")
        }
    }

    @Test("SHUTDOWN waits for clean ASIDs, then succeeds for ever; INIT_EX can keep the RMP or must rebuild it")
    func shutdown() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(platform.run(.snpShutdown) == .dfFlushRequired)
        #expect(platform.run(DecommissionBuffer(context: TestPage.context.address)) == .success)
        #expect(platform.run(.snpShutdown) == .success)
        #expect(platform.firmware.platformState == .uninitialized)
        #expect(platform.firmware.platformStatus.rmpFlags == .rmpIsInitialized)
        #expect(platform.run(.snpShutdownEx, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) == .success)
        #expect(platform.run(InitExBuffer(initializeRMP: false)) == .success)
        #expect(platform.machine.rmp.entry(TestPage.context).state == .firmware, "the RMP was kept")
        try platform.flush()
        #expect(platform.run(ShutdownExBuffer(iommuShutdown: true, x86Shutdown: true)) == .success)
        #expect(!platform.machine.cores.snpEnabled && platform.firmware.platformStatus.rmpFlags == [])
        #expect(platform.run(InitExBuffer(initializeRMP: false)) == .rmpInitRequired)
        platform.machine.cores.updateAll { $0.syscfg |= CoreRegisters.SYSCFG.snpEnable }
        #expect(platform.run(InitExBuffer(initializeRMP: true)) == .success)
        #expect(platform.machine.rmp.entry(TestPage.context).state == .hypervisor, "the RMP was rebuilt")
    }

    @Test("after SHUTDOWN all pages of contexts and firmware stay as they are and cannot be reclaimed")
    func leftOver() throws {
        let platform = try TestPlatform()
        try platform.makeGuest(asid: nil)
        #expect(platform.run(.snpShutdown) == .success)
        #expect(platform.machine.rmp.entry(TestPage.context).state == .context)
        #expect(platform.run(PageReclaimBuffer(page: TestPage.context.address)) == .invalidPlatformState)
    }
}
