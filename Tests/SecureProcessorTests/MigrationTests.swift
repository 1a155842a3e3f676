// Migration agents: a guest leaves one platform and arrives on another.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Migration")
struct MigrationTests {
    static let policy: GuestPolicy = [.standard, .migrationAgentAllowed]

    /// An agent that runs, and a guest in LAUNCH that is bound to it.
    static func bound() throws -> TestPlatform {
        let platform = try TestPlatform()
        try platform.makeRunningGuest(TestPage.agent, policy: policy, asid: ASID(6))
        try platform.makeGuest(policy: policy) {
            $0.migrationAgentIsEnabled = true
            $0.migrationAgentContext = TestPage.agent.address
        }
        return platform
    }

    static func running() throws -> TestPlatform {
        let platform = try bound()
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000)))
        try platform.require(platform.run(LaunchFinishBuffer(context: TestPage.context.address, hostData: [7])))
        return platform
    }

    static func request(_ pfn: PFN, flags: UInt32 = 0) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 0x10)
        bytes.store(pfn.address.rawValue, at: 0)
        bytes.store(flags, at: 8)
        return bytes
    }

    static func importing(_ image: [UInt8], _ pfn: PFN) -> [UInt8] {
        var bytes = request(pfn, flags: 0x300) + [UInt8](repeating: 0, count: 16) + image
        bytes.store(UInt32(3), at: 0xc)
        return bytes
    }

    @Test("an exported guest ends here and is imported there with its keys, and the VCEK choice does not travel")
    func migrate() throws {
        let platform = try Self.running()
        let keys = platform.messageKeys()
        let before = try #require(platform.guest)
        // The root entry of a guest without swapped pages is not valid; give it one.
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.rootMetadata.isValid = true }
        let answer = try platform.ask(.exportRequest, Self.request(TestPage.context), context: TestPage.agent)
        #expect(answer.status == .success && answer.header.messageSize == 0xfa0)
        #expect(answer.payload.integer(at: 4) as UInt32 == 0x300 && answer.payload.integer(at: 8) as UInt32 == 3)
        #expect(platform.guest == nil && platform.machine.rmp.entry(TestPage.context).state == .firmware)
        let image = Array(answer.payload[0x20..<0x320])
        #expect(Array(image[..<48]) == before.launchDigest && Array(image[0x50..<0x70]) == keys[0])
        #expect(image[0x230] == 2 && image.integer(at: 0x228) as UInt64 == Self.policy.rawValue)

        let other = try TestPlatform()
        try other.makeRunningGuest(TestPage.agent, policy: Self.policy, asid: ASID(6))
        try other.makeFirmware(TestPage.context)
        try other.require(other.run(GCTXCreateBuffer(context: TestPage.context.address)))
        #expect(
            try other.ask(.importRequest, Self.importing(image, TestPage.context), context: TestPage.agent).status
                == .success)
        let after = try #require(other.guest)
        #expect(
            after.state == .running && after.launchDigest == before.launchDigest && after.hostData == before.hostData)
        #expect(after.reportID != before.reportID && other.messageKeys() == keys)
        #expect(other.firmware.platformStatus.guestCount == 2 && after.messageCounts == before.messageCounts)
        let agent = other.firmware.inspectGuest(context: TestPage.agent.address)
        #expect(after.migrationAgentReportID == agent?.reportID)
        let again = try other.ask(.importRequest, Self.importing(image, TestPage.context), context: TestPage.agent)
        #expect(again.status == .invalidGuestState)
    }

    @Test("EXPORT with IMI_EN keeps the guest and zeroes the root entry")
    func exportForImage() throws {
        let platform = try Self.running()
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.rootMetadata.isValid = true }
        let before = platform.guest
        let answer = try platform.ask(.exportRequest, Self.request(TestPage.context, flags: 1), context: TestPage.agent)
        #expect(answer.status == .success && answer.payload[0x200..<0x240].allSatisfy { $0 == 0 })
        #expect(platform.guest == before)
    }

    @Test("EXPORT and IMPORT refuse in their order, and change nothing")
    func refusals() throws {
        let platform = try Self.bound()
        func ask(_ type: GuestMessageType, _ bytes: [UInt8], _ context: PFN = TestPage.agent, _ vmpck: UInt8 = 0) throws
            -> FirmwareStatus
        { try platform.ask(type, bytes, vmpck: vmpck, context: context).status }
        let (guest, agent) = (TestPage.context, TestPage.agent)
        let before = platform.guest
        #expect(try ask(.exportRequest, Self.request(guest, flags: 2)) == .invalidParam)
        #expect(try ask(.exportRequest, Self.request(TestPage.status)) == .invalidGuest)
        #expect(try ask(.exportRequest, Self.request(guest)) == .invalidGuestState)
        #expect(try ask(.exportRequest, Self.request(agent), agent, 1) == .invalidGuest, "itself, not by VMPCK0")
        let image = [UInt8](repeating: 0, count: 0x300)
        #expect(try ask(.importRequest, Self.importing(image, guest).replacing(9, 4)) == .invalidParam)
        #expect(try ask(.importRequest, Self.importing(image, guest).replacing(12, 4)) == .invalidParam)
        #expect(try ask(.importRequest, Self.importing(image, guest).replacing(0x10, 4)) == .invalidParam)
        #expect(try ask(.importRequest, Self.importing(image, TestPage.status)) == .invalidGuest)
        #expect(try ask(.importRequest, Self.importing(image, guest)) == .invalidGuestState)
        try platform.makeFirmware(TestPage.large)
        try platform.require(platform.run(GCTXCreateBuffer(context: TestPage.large.address)))
        #expect(try ask(.importRequest, Self.importing(image, TestPage.large)) == .invalidMetadataEntry)
        #expect(platform.guest == before)
        try platform.require(platform.run(LaunchFinishBuffer(context: guest.address)))
        #expect(try ask(.exportRequest, Self.request(guest), guest) == .invalidGuest, "it has an agent")
        #expect(try ask(.exportRequest, Self.request(agent), guest) == .invalidGuest, "not its agent")
        #expect(try ask(.exportRequest, Self.request(agent)) == .success, "itself")
    }

    @Test("VMRK comes from the agent by VMPCK0 while the guest is in LAUNCH")
    func vmrk() throws {
        let platform = try Self.bound()
        let request =
            Self.request(TestPage.context) + [UInt8](repeating: 0, count: 16) + [UInt8](repeating: 9, count: 32)
        func vmrk() -> [UInt8]? { platform.firmware.withFirmware { $0.guests[TestPage.context]?.vmrk } }
        let old = vmrk()
        #expect(try platform.ask(.vmrkRequest, request, vmpck: 1, context: TestPage.agent).status == .invalidGuest)
        #expect(
            try platform.ask(.vmrkRequest, request.replacing(8, 1), context: TestPage.agent).status == .invalidParam)
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.initialMigrationImage = true }
        #expect(try platform.ask(.vmrkRequest, request, context: TestPage.agent).status == .invalidGuestState)
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.initialMigrationImage = false }
        #expect(vmrk() == old)
        #expect(try platform.ask(.vmrkRequest, request, context: TestPage.agent).status == .success)
        #expect(vmrk() == [UInt8](repeating: 9, count: 32))
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.migrationAgentReportID[0] ^= 1 }
        #expect(try platform.ask(.vmrkRequest, request, context: TestPage.agent).status == .invalidGuest)
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.state = .running }
        #expect(try platform.ask(.vmrkRequest, request, context: TestPage.agent).status == .invalidGuestState)
    }

    @Test("ABSORB turns a launched migration image into the exported guest, if its digest is the exported one's")
    func absorb() throws {
        let platform = try Self.bound()
        let change: (inout LaunchUpdateBuffer) -> Void = { $0.isInitialMigrationImagePage = true }
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000), change))
        try platform.require(platform.run(LaunchFinishBuffer(context: TestPage.context.address, hostData: [7])))
        let exported = try platform.ask(
            .exportRequest, Self.request(TestPage.context, flags: 1), context: TestPage.agent)
        let image = Array(exported.payload[0x20..<0x320])
        let target = TestPage.large
        try platform.makeGuest(target, policy: Self.policy, asid: ASID(7)) { $0.initialMigrationImage = true }
        func absorb(_ bytes: [UInt8]) throws -> FirmwareStatus {
            try platform.ask(.absorbRequest, bytes, context: TestPage.agent).status
        }
        let request = Self.importing(image, target)
        #expect(try absorb(request) == .badMeasurement, "nothing is loaded")
        try platform.require(
            platform.load(.normal, patternPage, at: GPA(0x1000), page: PFN(0xa00), asid: ASID(7)) {
                change(&$0)
                $0.context = target.address
            })
        #expect(platform.firmware.inspectGuest(context: target.address)?.launchDigest == platform.guest?.imageDigest)
        #expect(try absorb(request.replacing(0x18, 1)) == .invalidParam)
        #expect(try absorb(Self.importing(image, TestPage.status)) == .invalidGuest)
        #expect(try absorb(Self.importing(image, TestPage.context)) == .invalidGuestState)
        #expect(try absorb(request.replacing(0x220, 1)) == .invalidMetadataEntry)
        #expect(try absorb(request.replacing(9, 4)) == .invalidParam)
        #expect(try absorb(request.replacing(12, 4)) == .invalidParam)
        #expect(try absorb(request) == .success)
        let after = try #require(platform.firmware.inspectGuest(context: target.address))
        #expect(after.state == .running && after.isActive && after.hostData.prefix(1) == [7])
        #expect(platform.firmware.withFirmware { $0.asids[ASID(7)].inUse != 0 && $0.asids[ASID(7)].allocated == 0 })
        let back = try platform.ask(.exportRequest, Self.request(target, flags: 1), context: TestPage.agent)
        #expect(back.status == .success, "its agent is the one that absorbed it")
        #expect(platform.messageKeys(target) == platform.messageKeys())
    }

    @Test("ABSORB_NOMA turns the guest that asks into the guest of an image of its own, without an agent")
    func absorbWithoutAgent() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        try platform.require(
            platform.load(.normal, patternPage, at: GPA(0x1000)) { $0.isInitialMigrationImagePage = true })
        try platform.require(platform.run(LaunchFinishBuffer(context: TestPage.context.address, hostData: [1])))
        let digest = try #require(platform.guest?.launchDigest)
        #expect(platform.guest?.imageDigest == digest, "every page is one of the image")
        let exported = try #require(
            platform.firmware.withFirmware { firmware -> GuestRecord? in
                var guest = firmware.guests[TestPage.context]
                guest?.hostData = [UInt8](repeating: 9, count: 32)
                guest?.vmpck = (0..<4).map { [UInt8](repeating: UInt8($0) + 40, count: 32) }
                guest?.messageCounts = [20, 30, 40, 50]
                return guest
            })
        let request = Self.importing(GuestImage.encode(exported), PFN(0))
        func absorb(_ bytes: [UInt8]) throws -> FirmwareStatus {
            try platform.ask(.absorbWithoutAgentRequest, bytes).status
        }
        #expect(
            try absorb(request.replacing(1, 1)) == .invalidParam && absorb(request.replacing(0x1f, 1)) == .invalidParam)
        #expect(try absorb(request.replacing(0x20 + 0x190, request[0x20 + 0x190] ^ 1)) == .badMeasurement)
        #expect(
            try absorb(request.replacing(9, 4)) == .invalidParam && absorb(request.replacing(12, 4)) == .invalidParam)
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.migrationAgent = TestPage.agent }
        #expect(try absorb(request) == .invalidGuest)
        platform.firmware.withFirmware { firmware in
            firmware.guests[TestPage.context]?.migrationAgent = nil
            firmware.guests[TestPage.context]?.imageDigest = LaunchDigest()
        }
        #expect(try absorb(request) == .badMeasurement, "its own IMD is another")
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.imageDigest = exported.imageDigest }
        let old = platform.messageKeys()
        #expect(try absorb(request) == .success)
        #expect(platform.messageKeys() == exported.vmpck && platform.messageKeys() != old)
        #expect(platform.guest?.hostData == exported.hostData && platform.guest?.state == .running)
        #expect(platform.guest?.messageCounts == [20, 30, 40, 50], "the keys go on where they were")
        #expect(try platform.ask(.reportRequest, AttestationReportTests.request()).status == .success)
        #expect(platform.guest?.messageCounts == [22, 30, 40, 50])
    }
}
