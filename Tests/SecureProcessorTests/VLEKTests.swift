// The loaded endorsement key: who signs when there is one.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Loaded endorsement key")
struct VLEKTests {
    static func load(_ platform: TestPlatform) throws {
        platform.machine.memory.store(platform.firmware.wrappedVLEK(seed: 3), at: TestPage.idBlock.address)
        try platform.require(platform.run(VLEKLoadBuffer(wrapped: TestPage.idBlock.address)))
    }

    @Test("the VLEK signs unless the VCEK is asked for, and the status shows it; SNP_SHUTDOWN wipes it")
    func signers() throws {
        let platform = try TestPlatform()
        #expect(platform.firmware.vlekPublicKey == nil)
        try Self.load(platform)
        #expect(platform.firmware.platformStatus.features.contains(.vlekEnabled))
        let vlek = try #require(platform.firmware.vlekPublicKey)
        let vcek = platform.firmware.vcekPublicKey()
        try platform.makeRunningGuest()
        for (selection, key, kind) in [(0, vlek, 1), (1, vcek, 0), (2, vlek, 1)] as [(UInt32, [UInt8], UInt8)] {
            let report = try AttestationReportTests.report(platform, selection)
            #expect(try AttestationReportTests.isSigned(report, by: key) && report[0x48] == kind << 2)
        }
        try platform.require(platform.run(DecommissionBuffer(context: TestPage.context.address)))
        try platform.flush()
        try platform.require(platform.run(.snpShutdown))
        #expect(platform.firmware.vlekPublicKey == nil)
    }

    @Test("SNP_SHUTDOWN_EX wipes the VLEK too, with and without the IOMMU's bit", arguments: [false, true])
    func shutdownEx(_ iommu: Bool) throws {
        let platform = try TestPlatform()
        try Self.load(platform)
        try platform.require(platform.run(ShutdownExBuffer(iommuShutdown: iommu)))
        #expect(platform.firmware.vlekPublicKey == nil)
    }

    @Test("derived keys come from the VLEK if it is there or asked for")
    func derivedKeys() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let before = try platform.ask(.keyRequest, KeyDerivationTests.request()).payload
        try Self.load(platform)
        func key(_ selection: UInt32) throws -> [UInt8] {
            try platform.ask(.keyRequest, KeyDerivationTests.request(selection: selection)).payload
        }
        #expect(try key(0) == key(2) && key(0) != before && key(1) == before)
    }

    @Test("a VLEK wrapped for another chip is refused by its tag, for another TCB with BAD_SVN")
    func otherChip() throws {
        let platform = try TestPlatform()
        let other = try TestPlatform(configuration: FirmwareConfiguration(chipSeed: 99))
        platform.machine.memory.store(other.firmware.wrappedVLEK(seed: 3), at: TestPage.idBlock.address)
        #expect(platform.run(VLEKLoadBuffer(wrapped: TestPage.idBlock.address)) == .badMeasurement)
        platform.machine.memory.store(platform.firmware.wrappedVLEK(seed: 3), at: TestPage.idBlock.address)
        try platform.require(platform.run(ConfigBuffer(reportedTCB: TCBVersion(rawValue: 1))))
        #expect(platform.run(VLEKLoadBuffer(wrapped: TestPage.idBlock.address)) == .badSVN)
        #expect(platform.firmware.vlekPublicKey == nil)
    }
}
