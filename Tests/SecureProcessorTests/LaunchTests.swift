// Whole launches, and the firmware's quirks that a driver may run into.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Launch")
struct LaunchTests {
    @Test("a launch with an ID block keeps the block, the digests of both keys, flags and host data")
    func idBlock() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_FINISH")
        scenario.edit(LaunchFinishBuffer.self) { $0.vcekIsDisabled = true }
        #expect(scenario.run() == .success)
        let guest = try #require(scenario.platform.guest)
        let authentication = try #require(scenario.idAuthentication)
        #expect(guest.idBlock == scenario.idBlock && guest.idBlock?.guestSVN == 7)
        #expect(guest.idKeyDigest == Array(SHA384.hash(data: authentication.idKey.encoded)))
        #expect(guest.authorKeyDigest == Array(SHA384.hash(data: authentication.authorKey.encoded)))
        #expect(guest.authorKeyIsEnabled && guest.vcekIsDisabled && guest.state == .running && guest.isActive)
        #expect(guest.hostData == [1, 2, 3] + [UInt8](repeating: 0, count: 29))
    }

    @Test("without an author its key and signature do not matter")
    func withoutAuthor() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_FINISH")
        scenario.idAuthentication?.authorKey.curve = 99
        scenario.idAuthentication?.authorKeyAlgorithm = 99
        scenario.edit(LaunchFinishBuffer.self) { $0.authorKeyIsEnabled = false }
        #expect(scenario.run() == .success)
        #expect(scenario.platform.guest?.authorKeyDigest == [UInt8](repeating: 0, count: 48))
    }

    @Test("quirk: AUTH_KEY_EN without ID_BLOCK_EN is accepted and kept")
    func authorAlone() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_FINISH")
        scenario.edit(LaunchFinishBuffer.self) { $0.idBlockIsEnabled = false }
        #expect(scenario.run() == .success)
        #expect(scenario.platform.guest?.authorKeyIsEnabled == true && scenario.platform.guest?.idBlock == nil)
    }

    @Test("after a bad signature the guest is still in LAUNCH, and a good one is accepted")
    func retry() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_FINISH")
        scenario.idAuthentication?.idBlockSignature.r[0] ^= 1
        #expect(scenario.run() == .badSignature)
        #expect(scenario.platform.guest?.state == .launching)
        scenario.idAuthentication?.idBlockSignature.r[0] ^= 1
        #expect(scenario.run() == .success)
    }

    @Test("a metadata page that is reclaimed loses the firmware's mark and keeps its frame number")
    func reclaimMetadata() throws {
        let platform = try TestPlatform()
        platform.machine.rmp.firmwareWrite(TestPage.page, PageStateTests.entry(.metadata, gfn: GFN(0)))
        #expect(platform.run(PageReclaimBuffer(page: TestPage.page.address)) == .success)
        #expect(platform.machine.rmp.entry(TestPage.page).gfn == GFN(5))
    }

    @Test("a launch of a migration image takes only pages of the image and cannot be finished by the host")
    func migrationImage() throws {
        let platform = try TestPlatform()
        try platform.makeGuest { $0.initialMigrationImage = true }
        #expect(try platform.load(.normal, patternPage, at: GPA(0x1000)) == .invalidParam)
        var buffer = LaunchUpdateBuffer(
            context: TestPage.context.address, page: TestPage.page.address, type: .normal)
        buffer.isInitialMigrationImagePage = true
        #expect(platform.run(buffer) == .success)
        #expect(platform.guest?.imageDigest == platform.guest?.launchDigest)
        #expect(platform.run(LaunchFinishBuffer(context: TestPage.context.address)) == .invalidGuestState)
    }

    @Test("a page is launched once: afterwards it is Guest-Valid, and a second time is INVALID_PAGE_STATE")
    func twice() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(try platform.load(.normal, patternPage, at: GPA(0x1000)) == .success)
        let digest = platform.guest?.launchDigest
        let buffer = LaunchUpdateBuffer(context: TestPage.context.address, page: TestPage.page.address, type: .normal)
        #expect(platform.run(buffer) == .invalidPageState)
        #expect(platform.guest?.launchDigest == digest)
    }

    @Test("policies: SMT may be forbidden where it is off, older ABIs may be asked for, newer may not")
    func policies() throws {
        let platform = try TestPlatform(configuration: FirmwareConfiguration(smtIsEnabled: false))
        var policies: [(GuestPolicy, FirmwareStatus)] = [(.mustBeOne, .success), ([], .policyFailure)]
        for (major, minor, status) in [
            (0, 255, FirmwareStatus.success), (1, 55, .success), (1, 56, .policyFailure), (2, 0, .policyFailure),
        ] {
            var policy = GuestPolicy.mustBeOne
            policy.abiMajor = UInt8(major)
            policy.abiMinor = UInt8(minor)
            policies.append((policy, status))
        }
        for bit in 21..<64 { policies.append((GuestPolicy(rawValue: 1 << UInt64(bit) | 1 << 17), .policyFailure)) }
        try platform.makeFirmware(TestPage.context)
        for (policy, status) in policies {
            try platform.require(platform.run(GCTXCreateBuffer(context: TestPage.context.address)))
            let start = LaunchStartBuffer(context: TestPage.context.address, policy: policy)
            #expect(platform.run(start) == status, "policy \(String(policy.rawValue, radix: 16))")
            try platform.require(platform.run(DecommissionBuffer(context: TestPage.context.address)))
        }
        #expect(platform.firmware.platformStatus.guestCount == 0)
    }

    @Test("a guest with a migration agent shows the agent's report identifier, one without shows all ones")
    func migrationAgent() throws {
        let scenario = try CommandScenario("SNP_LAUNCH_START")
        #expect(scenario.run() == .success)
        let agent = scenario.platform.firmware.inspectGuest(context: TestPage.agent.address)
        #expect(scenario.platform.guest?.migrationAgentReportID == agent?.reportID)
        #expect(agent?.migrationAgentReportID == [UInt8](repeating: 0xff, count: 32))
        #expect(agent?.reportID != scenario.platform.guest?.reportID)
    }

    @Test("every reserved bit of every command buffer is refused")
    func reservedBits() throws {
        let types: [any CommandBuffer.Type] = [
            GuestStatusBuffer.self, GCTXCreateBuffer.self, DecommissionBuffer.self, ActivateBuffer.self,
            LaunchStartBuffer.self, LaunchUpdateBuffer.self, LaunchFinishBuffer.self, PageReclaimBuffer.self,
            PageUnsmashBuffer.self, ConfigBuffer.self, ShutdownExBuffer.self,
        ]
        for type in types {
            let name = type.command.description
            let scenario = try CommandScenario(name)
            let good = scenario.buffer
            for bit in 0..<(type.byteCount * 8) where type.reserved.words[bit / 64].hasBit(bit % 64) {
                scenario.buffer = good
                scenario.buffer.words[bit / 64] |= 1 << UInt64(bit % 64)
                #expect(scenario.run() == .invalidParam, "\(name) bit \(bit)")
            }
            scenario.buffer = good
            #expect(scenario.run() == .success, "\(name)")
        }
    }
}
