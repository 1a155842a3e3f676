// The quirks of the firmware that a driver may run into, one test each.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Quirks of the firmware")
struct FirmwareQuirkTests {
    @Test("quirk 1: the buffer of a legacy command that is not firmware's gives 5A, not 1A")
    func quirk1() throws {
        let platform = try TestPlatform()
        #expect(platform.run(.sevPlatformStatus).rawValue == 0x5a)
        #expect(platform.run(SEVGetIDBuffer(address: TestPage.status.address, length: 0)).rawValue == 0x5a)
        #expect(platform.run(PlatformStatusBuffer(status: TestPage.status.address)).rawValue == 0x1a)
        #expect(platform.machine.rmp.entry(TestPage.command).state == .hypervisor, "no transition")
        try platform.makeFirmware(TestPage.command)
        #expect(platform.run(.sevPlatformStatus) == .success)
        #expect(platform.machine.rmp.entry(TestPage.command).state == .reclaim)
        #expect(platform.run(.sevPlatformStatus).rawValue == 0x5a, "the page is Reclaim by now")
    }

    @Test("quirk 2: reclaiming a page that is mutable already succeeds and changes nothing")
    func quirk2() throws {
        let scenario = try CommandScenario("SNP_PAGE_RECLAIM")
        #expect(scenario.run() == .success)
        let entry = scenario.platform.machine.rmp.rawEntry(TestPage.page)
        #expect(scenario.run() == .success)
        #expect(scenario.platform.machine.rmp.rawEntry(TestPage.page) == entry && entry.low == 1)
        try scenario.platform.machine.rmp.rmpUpdate(TestPage.page.address, to: .shared(.size4K))
        #expect(scenario.run() == .success)
        #expect(scenario.platform.machine.rmp.entry(TestPage.page).state == .hypervisor)
    }

    @Test("quirk 3: SHUTDOWN of a platform that is UNINIT succeeds, even with a bad EX buffer")
    func quirk3() throws {
        let platform = try TestPlatform(initialized: false)
        var buffer = ShutdownExBuffer(iommuShutdown: false, x86Shutdown: true)
        buffer.length = 99
        buffer.bytes.words[0] |= 1 << 63
        #expect(platform.run(.snpShutdown) == .success && platform.run(buffer) == .success)
        let initialized = try TestPlatform()
        #expect(initialized.run(buffer) == .invalidParam)
        #expect(initialized.firmware.platformState == .initialized)
    }

    @Test("quirk 4: DBG_ENCRYPT looks at the platform's state before reserved bits, DBG_DECRYPT after")
    func quirk4() throws {
        let platform = try TestPlatform(initialized: false)
        let (bad, page) = (SPA(0x80_1008), TestPage.page.address)
        #expect(platform.run(DebugEncryptBuffer(context: bad, source: page, destination: page)).rawValue == 0x01)
        #expect(platform.run(DebugDecryptBuffer(context: bad, source: page, destination: page)).rawValue == 0x16)
    }

    @Test("quirk 5: a bad length is 04 in PAGE_SET_STATE and 16 elsewhere")
    func quirk5() throws {
        let platform = try TestPlatform()
        var setState = PageSetStateBuffer(list: TestPage.idBlock.address)
        setState.length = 8
        #expect(platform.run(setState).rawValue == 0x04)
        var activate = ActivateExBuffer(context: SPA(0), asid: ASID(1), count: 1, list: SPA(0))
        activate.length = 8
        #expect(platform.run(activate).rawValue == 0x16)
        #expect(platform.run(CommitBuffer(length: 8)).rawValue == 0x16)
    }

    @Test("quirk 6: Default pages are good for status, not for the answer to a guest")
    func quirk6() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let page = TestPage.uncovered.address
        #expect(platform.run(PlatformStatusBuffer(status: page)) == .success)
        #expect(platform.run(GuestStatusBuffer(context: TestPage.context.address, status: page)) == .success)
        #expect(platform.run(FeatureInfoBuffer(subleaf: 0, output: page)) == .success)
        let request = GuestRequestBuffer(
            context: TestPage.context.address, request: TestPage.request.address, response: page)
        #expect(platform.run(request).rawValue == 0x1a)
    }

    @Test("quirk 7: right after SNP_INIT, ACTIVATE gives 0F until DF_FLUSH has run")
    func quirk7() throws {
        let platform = try TestPlatform(initialized: false)
        try platform.require(platform.run(.snpInit))
        try platform.makeGuest(asid: nil)
        for asid in [1, 50, 99] as [UInt32] {
            let activate = ActivateBuffer(context: TestPage.context.address, asid: ASID(asid))
            #expect(platform.run(activate).rawValue == 0x0f)
        }
        try platform.flush()
        #expect(platform.run(ActivateBuffer(context: TestPage.context.address, asid: ASID(50))) == .success)
    }

    @Test("quirk 8: a bad tag is 0B, a replayed sequence 1D, and neither moves the sequence")
    func quirk8() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        var bad = TestMessage(.reportRequest, GuestMessageTests.zeros(0x60), vmpck: 1)
        bad.spoil = { $0[3] ^= 0x80 }
        #expect(try platform.send(bad).0.rawValue == 0x0b)
        bad.spoil = { $0[0..<32] = [UInt8](repeating: 0, count: 32)[...] }
        #expect(try platform.send(bad).0.rawValue == 0x0b)
        #expect(platform.guest?.messageCounts == [0, 0, 0, 0])
        let good = TestMessage(.reportRequest, GuestMessageTests.zeros(0x60), vmpck: 1)
        var vmpl1 = good
        vmpl1.payload[0x40] = 1
        #expect(try platform.send(vmpl1).1?.status == .success)
        #expect(try platform.send(vmpl1).0.rawValue == 0x1d)
        #expect(platform.guest?.messageCounts == [0, 2, 0, 0])
    }

    @Test("quirk 9: a CPUID page is corrected in place, in plain text, and stays Pre-Guest")
    func quirk9() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        let page = CPUIDPage([CPUIDFunction(eaxIn: 0, eax: 0xffff)])
        #expect(try platform.load(.cpuid, page.encoded, at: GPA(0x1000)).rawValue == 0x16)
        let plain = platform.machine.memory.bytes(TestPage.page.address, count: 4096)
        #expect(CPUIDPage(decoding: plain).functions == [CPUIDFunction(eaxIn: 0, eax: 0x10)])
        #expect(platform.machine.rmp.entry(TestPage.page).state == .preGuest)
        #expect(platform.guest?.launchDigest == [UInt8](repeating: 0, count: 48), "nothing is measured")
        let buffer = LaunchUpdateBuffer(context: TestPage.context.address, page: TestPage.page.address, type: .cpuid)
        #expect(platform.run(buffer) == .success, "the same page again")
    }

    @Test("quirk 10: the ID block's version is not checked")
    func quirk10() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_FINISH")
        scenario.idBlock?.version = 0xdead
        let block = try #require(scenario.idBlock)
        scenario.idAuthentication = try TestIdentity().authenticate(block)
        #expect(scenario.run() == .success)
    }

    @Test("quirk 11: an ASID whose pages are still assigned gives 03, though its guest is gone")
    func quirk11() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        try platform.assign(TestPage.page, ASID(5), at: GPA(0x9000))
        try platform.require(platform.run(DecommissionBuffer(context: TestPage.context.address)))
        try platform.flush()
        try platform.makeGuest(TestPage.agent, asid: nil)
        let activate = ActivateBuffer(context: TestPage.agent.address, asid: ASID(5))
        #expect(platform.run(activate).rawValue == 0x03)
        #expect(platform.run(PageReclaimBuffer(page: TestPage.page.address)) == .success)
        #expect(platform.run(activate).rawValue == 0x03, "reclaimed, and still assigned")
        try platform.machine.rmp.rmpUpdate(TestPage.page.address, to: .shared(.size4K))
        #expect(platform.run(activate) == .success)
    }

    @Test("quirk 12: MASK_CHIP_KEY does not stop the VLEK from signing")
    func quirk12() throws {
        let platform = try TestPlatform()
        try VLEKTests.load(platform)
        try platform.require(platform.run(ConfigBuffer(reportedTCB: TCBVersion(rawValue: 0), maskChipKey: true)))
        try platform.makeRunningGuest { $0.vcekIsDisabled = true }
        let report = try AttestationReportTests.report(platform)
        #expect(report[0x48] == 2 | 1 << 2)
        #expect(try AttestationReportTests.isSigned(report, by: #require(platform.firmware.vlekPublicKey)))
        #expect(try platform.ask(.reportRequest, AttestationReportTests.request(1)).status == .invalidKey)
    }

    @Test("quirk 13: SNP_CONFIG compares a TCB as one number, a key request component by component")
    func quirk13() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        // Below the committed version 9, 0, 23, 72 as a number; its last component is above.
        let tcb = TCBVersion(TCBComponents(bootLoader: 8, tee: 0, snp: 23, microcode: 200), layout: .milanGenoa)
        let request = KeyDerivationTests.request(fields: 32, tcb: tcb.rawValue)
        #expect(try platform.ask(.keyRequest, request).status.rawValue == 0x16)
        #expect(platform.run(ConfigBuffer(reportedTCB: tcb)) == .success)
        #expect(platform.firmware.platformStatus.reportedTCB == tcb)
    }
}
