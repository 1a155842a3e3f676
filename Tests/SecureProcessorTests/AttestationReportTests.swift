// Attestation reports: every field at its offset, versions, signers, and the signature under the chip's public key.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Attestation reports")
struct AttestationReportTests {
    static func request(_ selection: UInt32 = 0, vmpl: UInt32 = 0) -> [UInt8] {
        var bytes: [UInt8] = (0..<64).map { UInt8($0) + 100 } + [UInt8](repeating: 0, count: 32)
        bytes.store(vmpl, at: 0x40)
        bytes.store(selection, at: 0x44)
        return bytes
    }

    static func report(_ platform: TestPlatform, _ selection: UInt32 = 0) throws -> [UInt8] {
        let answer = try platform.ask(.reportRequest, request(selection))
        try platform.require(answer.status)
        #expect(answer.header.messageSize == 0x4c0 && answer.payload.integer(at: 4) as UInt32 == 0x4a0)
        #expect(answer.payload[8..<0x20].allSatisfy { $0 == 0 })
        return Array(answer.payload[0x20...])
    }

    /// Whether the report's signature verifies under a key of 96 bytes.
    static func isSigned(_ report: [UInt8], by key: [UInt8]) throws -> Bool {
        let key = try P384.Signing.PublicKey(rawRepresentation: key)
        let raw = Array(report[0x2a0..<0x2d0].reversed()) + Array(report[0x2e8..<0x318].reversed())
        let signature = try P384.Signing.ECDSASignature(rawRepresentation: raw)
        return key.isValidSignature(signature, for: SHA384.hash(data: report[..<0x2a0]))
    }

    @Test("version 2 has each field at its offset and zeros elsewhere")
    func fields() throws {
        let platform = try KeyDerivationTests.identified()
        let guest = try #require(platform.guest)
        let report = try Self.report(platform)
        let zeros = { (count: Int) in [UInt8](repeating: 0, count: count) }
        let tcb: [UInt8] = [9, 0, 0, 0, 0, 0, 23, 72]
        let expected: [[UInt8]] = [
            [2, 0, 0, 0], [7, 0, 0, 0], [0, 0, 3, 0, 0, 0, 0, 0], Array(1...16), Array(17...32), zeros(4),
            [1, 0, 0, 0],
            tcb, [1] + zeros(7), [1, 0, 0, 0], zeros(4), (0..<64).map { UInt8($0) + 100 }, guest.launchDigest,
            [9, 8, 7] + zeros(29), guest.idKeyDigest, guest.authorKeyDigest, guest.reportID,
            [UInt8](repeating: 0xff, count: 32), tcb, zeros(24), platform.firmware.chipIdentifier, tcb, [21, 55, 1, 0],
            [21, 55, 1, 0], tcb, zeros(0x2a0 - 0x1f8),
        ]
        #expect(Array(report[..<0x2a0]) == expected.flatMap { $0 })
        #expect(expected.reduce(0) { $0 + $1.count } == 0x2a0 && report.count == 0x4a0)
        #expect(report[0x2d0..<0x2e8].allSatisfy { $0 == 0 } && report[0x318...].allSatisfy { $0 == 0 })
        #expect(try Self.isSigned(report, by: platform.firmware.vcekPublicKey()))
    }

    @Test("the signature covers every byte before it")
    func signature() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let report = try Self.report(platform)
        let key = platform.firmware.vcekPublicKey()
        for index in stride(from: 0, to: 0x2a0, by: 7) {
            #expect(try !Self.isSigned(report.replacing(index, report[index] ^ 1), by: key), "byte \(index)")
        }
        #expect(try Self.isSigned(report, by: key))
    }

    @Test(
        "the firmware's version chooses the report's, unless the configuration does",
        arguments: [(51, nil, 2), (55, nil, 2), (56, nil, 3), (58, nil, 5), (55, .version5, 5), (58, .version3, 3)]
            as [(UInt8, ReportVersion?, UInt8)])
    func versions(_ minor: UInt8, _ configured: ReportVersion?, _ version: UInt8) throws {
        let configuration = FirmwareConfiguration(
            version: FirmwareVersion(major: 1, minor: minor, build: 3), reportVersion: configured)
        let platform = try TestPlatform(configuration: configuration)
        try platform.makeRunningGuest()
        let report = try Self.report(platform)
        #expect(report[0] == version)
        #expect(Array(report[0x188..<0x18b]) == (version == 2 ? [0, 0, 0] : [0x19, 0x11, 1]))
        #expect(Array(report[0x1e8..<0x1eb]) == [3, minor, 1])
    }

    @Test("each product's processor, TCB layout and chip identifier", arguments: Product.allCases)
    func products(_ product: Product) throws {
        let platform = try TestPlatform(
            product: product, configuration: FirmwareConfiguration(reportVersion: .version3))
        try platform.makeRunningGuest()
        let report = try Self.report(platform)
        let (processor, tcb): ([UInt8], [UInt8]) =
            switch product {
            case .milan: ([0x19, 0x01, 1], [9, 0, 0, 0, 0, 0, 23, 72])
            case .genoa: ([0x19, 0x11, 1], [9, 0, 0, 0, 0, 0, 23, 72])
            case .bergamo, .siena: ([0x19, 0xa0, 2], [9, 0, 0, 0, 0, 0, 23, 72])
            case .turin: ([0x1a, 0x02, 1], [1, 9, 0, 23, 0, 0, 0, 72])
            }
        #expect(Array(report[0x188..<0x18b]) == processor && Array(report[0x180..<0x188]) == tcb)
        #expect(report[0x1a8..<0x1e0].allSatisfy { $0 == 0 } == (product == .turin))
        let named = ReportedProcessor(family: processor[0], model: processor[1], stepping: processor[2]).product
        #expect(named == product.attestationProduct && named?.tcbLayout == platform.firmware.withFirmware(\.tcbLayout))
        #expect(try Self.isSigned(report, by: platform.firmware.vcekPublicKey()))
    }

    @Test("equal seeds give equal chips, and another seed another chip")
    func seeds() throws {
        func chip(_ seed: UInt64) throws -> [UInt8] {
            let platform = try TestPlatform(configuration: FirmwareConfiguration(chipSeed: seed), initialized: false)
            return platform.firmware.chipIdentifier + platform.firmware.vcekPublicKey()
        }
        #expect(try chip(1) == chip(1))
        #expect(try chip(1) != chip(2))
    }

    @Test("SNP_CONFIG changes the reported TCB and with it the signing key; SNP_COMMIT takes it back")
    func reportedTCB() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let old = platform.firmware.vcekPublicKey()
        let tcb = TCBVersion(TCBComponents(bootLoader: 9, tee: 0, snp: 20, microcode: 72), layout: .milanGenoa)
        try platform.require(platform.run(ConfigBuffer(reportedTCB: tcb)))
        let report = try Self.report(platform)
        #expect(report[0x186] == 20 && report[0x03e] == 23 && report[0x1e6] == 23)
        #expect(try Self.isSigned(report, by: platform.firmware.vcekPublicKey(tcb)))
        #expect(try !Self.isSigned(report, by: old))
        try platform.require(platform.run(CommitBuffer(length: 4)))
        #expect(try Self.isSigned(Self.report(platform), by: old))
    }

    @Test("CURRENT_TCB is the committed one with the SNP and microcode levels that run; versions apart")
    func currentTCB() throws {
        func tcb(_ level: UInt8) -> TCBVersion {
            TCBVersion(
                TCBComponents(bootLoader: level, tee: level, snp: level, microcode: level), layout: .milanGenoa)
        }
        var configuration = FirmwareConfiguration(currentTCB: tcb(5), committedTCB: tcb(3))
        configuration.committedVersion = FirmwareVersion(major: 1, minor: 51, build: 2)
        let platform = try TestPlatform(configuration: configuration)
        try platform.makeRunningGuest()
        let report = try Self.report(platform)
        #expect(Array(report[0x038..<0x040]) == [3, 3, 0, 0, 0, 0, 5, 5])
        #expect(Array(report[0x1e0..<0x1f0]) == [3, 3, 0, 0, 0, 0, 3, 3, 21, 55, 1, 0, 2, 51, 1, 0])
        try platform.require(platform.run(CommitBuffer(length: 4)))
        let committed = try Self.report(platform)
        #expect(Array(committed[0x1e0..<0x1f0]) == [5, 5, 0, 0, 0, 0, 5, 5, 21, 55, 1, 0, 21, 55, 1, 0])
        #expect(Array(committed[0x1f0..<0x1f8]) == [3, 3, 0, 0, 0, 0, 3, 3], "LAUNCH_TCB stays")
    }

    @Test("a masked chip shows no identifier and signs with no VCEK")
    func masks() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        try platform.require(
            platform.run(ConfigBuffer(reportedTCB: TCBVersion(rawValue: 0), maskChipID: true, maskChipKey: true)))
        for selection in 0...1 as ClosedRange<UInt32> {
            let report = try Self.report(platform, selection)
            #expect(report[0x1a0..<0x1e0].allSatisfy { $0 == 0 } && report[0x2a0...].allSatisfy { $0 == 0 })
            #expect(report[0x048] == 2 | 7 << 2)
        }
    }

    @Test("VCEK_DIS refuses the VCEK, and without a VLEK also the choice of either")
    func vcekDisabled() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest { $0.vcekIsDisabled = true }
        for selection in 0...3 as ClosedRange<UInt32> {
            #expect(try platform.ask(.reportRequest, Self.request(selection)).status == .invalidKey)
        }
    }

    @Test("reserved bits are 16, a VMPL below the VMPCK's is 16, KEY_SEL comes between them")
    func refusals() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        #expect(try platform.ask(.reportRequest, Self.request(4)).status == .invalidParam)
        for index in [0x45, 0x48, 0x5f] {
            #expect(try platform.ask(.reportRequest, Self.request(3).replacing(index, 1)).status == .invalidParam)
        }
        #expect(try platform.ask(.reportRequest, Self.request(3, vmpl: 1), vmpck: 2).status == .invalidKey)
        #expect(try platform.ask(.reportRequest, Self.request(vmpl: 1), vmpck: 2).status == .invalidParam)
        #expect(try platform.ask(.reportRequest, Self.request(vmpl: 2), vmpck: 2).status == .success)
        #expect(try platform.ask(.reportRequest, Self.request(vmpl: 77), vmpck: 2).status == .success)
    }
}
