// What firmware newer than 1.55 adds, and that older firmware takes it for reserved.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Newer firmware")
struct NewerFirmwareTests {
    static func platform(_ minor: UInt8, _ product: Product = .genoa, initialized: Bool = true) throws -> TestPlatform {
        try TestPlatform(
            product: product, configuration: FirmwareConfiguration(version: .minor(minor)), initialized: initialized)
    }

    static let levels: [(UInt8, Product, UInt32)] = [
        (51, .milan, 0b11), (55, .genoa, 0b11), (55, .turin, 0b11), (56, .siena, 0b11_0111), (57, .genoa, 0b11_0111),
        (57, .turin, 0b11_1111), (58, .bergamo, 0x2037), (58, .turin, 0x203f),
    ]

    @Test("SNP_FEATURE_INFO names what version and product have, and every guest message", arguments: levels)
    func features(_ minor: UInt8, _ product: Product, _ ecx: UInt32) throws {
        let platform = try Self.platform(minor, product)
        try platform.makeFirmware(TestPage.status)
        func info(_ subleaf: UInt32) throws -> FeatureInfo {
            try platform.require(platform.run(FeatureInfoBuffer(subleaf: subleaf, output: TestPage.status.address)))
            return FeatureInfo(decoding: platform.machine.memory.bytes(TestPage.status.address, count: 16))
        }
        let first = try info(0)
        #expect([first.eax, first.ebx, first.ecx, first.edx] == [1, 1, ecx, 0])
        #expect(try info(1).eax == 0x1ff)
        let flags = platform.firmware.platformStatus.rmpFlags
        #expect(flags == (minor < 57 ? .rmpIsInitialized : [.rmpIsInitialized, .aliasCheckComplete]))
        #expect(
            platform.run(.snpVerifyMitigation, VerifyMitigationBuffer(subcommand: 0).encoded)
                == (minor < 58 ? .invalidCommand : .success))
    }

    /// A policy bit, the first minor version of firmware that knows it on Turin, and what that firmware says to a guest on
    /// a platform that was initialised without options.
    static let policies: [(GuestPolicy, UInt8, FirmwareStatus)] = [
        (.cxlAllowed, 56, .success), (.memoryAES256XTS, 56, .policyFailure), (.raplDisabled, 56, .policyFailure),
        (.ciphertextHiding, 57, .policyFailure), (.pageSwapDisabled, 58, .success),
    ]

    @Test("a policy bit is refused by firmware that does not know it", arguments: policies)
    func policy(_ bit: GuestPolicy, _ first: UInt8, _ status: FirmwareStatus) throws {
        for minor in [55, first - 1, first, 58] as [UInt8] {
            let platform = try Self.platform(minor, .turin)
            let reserved = platform.firmware.withFirmware { $0.reservedPolicy }
            #expect(reserved.contains(bit) == (minor < first))
            try platform.makeFirmware(TestPage.context)
            try platform.require(platform.run(GCTXCreateBuffer(context: TestPage.context.address)))
            let start = LaunchStartBuffer(context: TestPage.context.address, policy: [.standard, bit])
            #expect(platform.run(start) == (minor < first ? .policyFailure : status))
        }
    }

    static let optionalBits: [(UInt8, UInt8, UInt64, Bool)] = [
        (55, 0, 1 << 2, false), (55, 0, 1 << 3, false), (55, 2, 1, false), (56, 0, 1 << 2, true),
        (56, 0, 1 << 3, false), (57, 2, 0x8000, true), (57, 0, 1 << 4, false), (58, 0, 1 << 4, false),
        (58, 2, 0x1_0000, false),
    ]

    @Test("bits of SNP_INIT_EX are reserved until the firmware knows them", arguments: optionalBits)
    func initBits(_ minor: UInt8, _ word: UInt8, _ bits: UInt64, _ isKnown: Bool) throws {
        let platform = try Self.platform(minor, .turin, initialized: false)
        var buffer = InitExBuffer(initializeRMP: true)
        buffer.bytes.words[Int(word)] |= bits
        #expect(platform.run(buffer) == (isKnown ? .success : .invalidParam))
    }

    @Test("RAPL_DIS and hidden ciphertext show in status and reports, satisfy policies, and end with SNP_SHUTDOWN")
    func options() throws {
        let platform = try Self.platform(58, .turin, initialized: false)
        var buffer = InitExBuffer(initializeRMP: true)
        buffer.raplIsDisabled = true
        buffer.ciphertextIsHidden = true
        buffer.maximumSNPASID = 7
        try platform.require(platform.run(buffer))
        try platform.flush()
        let expected: PlatformStatus.Features = [
            .featureInfo, .raplDisabled, .ciphertextHidingCapable, .ciphertextHidingEnabled,
        ]
        #expect(platform.firmware.platformStatus.features == expected)
        try platform.makeRunningGuest(policy: [.standard, .raplDisabled, .ciphertextHiding], asid: ASID(7))
        let report = try AttestationReportTests.report(platform)
        #expect(report[0x40] == 0b11_1001, "SMT, RAPL_DIS, CIPHERTEXT_HIDING, ALIAS_CHECK_COMPLETE")
        try platform.makeGuest(TestPage.agent, asid: nil)
        #expect(platform.run(ActivateBuffer(context: TestPage.agent.address, asid: ASID(8))) == .invalidASID)
        for context in [TestPage.context, TestPage.agent] {
            try platform.require(platform.run(DecommissionBuffer(context: context.address)))
        }
        try platform.flush()
        try platform.require(platform.run(.snpShutdown))
        #expect(platform.firmware.platformStatus.features == [.featureInfo, .ciphertextHidingCapable])
    }

    @Test(
        "hidden ciphertext needs a largest SNP ASID of 1 up to the last for SNP",
        arguments: [(0, false), (1, true), (99, true), (100, false)])
    func largestASID(_ asid: UInt16, _ isGood: Bool) throws {
        let platform = try Self.platform(57, .turin, initialized: false)
        var buffer = InitExBuffer(initializeRMP: true)
        buffer.ciphertextIsHidden = true
        buffer.maximumSNPASID = asid
        #expect(platform.run(buffer) == (isGood ? .success : .invalidParam))
    }

    @Test(
        "verified mitigations show in reports, a guest's launch keeps those of its start, and keys may depend on them")
    func mitigations() throws {
        let platform = try Self.platform(58)
        try platform.makeFirmware(TestPage.status)
        func status(_ buffer: VerifyMitigationBuffer) throws -> MitigationStatus {
            try platform.require(platform.run(buffer))
            return MitigationStatus(decoding: platform.machine.memory.bytes(TestPage.status.address, count: 0x18))
        }
        let place = TestPage.status.address
        #expect(
            try status(VerifyMitigationBuffer(subcommand: 0, destination: place))
                == MitigationStatus(verified: 0, supported: 3))
        #expect(try status(VerifyMitigationBuffer(subcommand: 1, vector: 1, destination: place)).verified == 1)
        try platform.makeRunningGuest()
        #expect(try status(VerifyMitigationBuffer(subcommand: 1, vector: 2, destination: place)).verified == 3)
        let report = try AttestationReportTests.report(platform)
        #expect(report[0] == 5 && report.integer(at: 0x1f8) as UInt64 == 1 && report.integer(at: 0x200) as UInt64 == 3)

        func key(_ vector: UInt64, fields: UInt64 = 64, version: UInt8 = 2) throws -> TestAnswer {
            let count = platform.guest?.messageCounts[0] ?? 0
            var payload = KeyDerivationTests.request(fields: fields) + [UInt8](repeating: 0, count: 16)
            payload.store(vector, at: 0x20)
            var message = TestMessage(.keyRequest, payload, sequence: count + 1)
            message.header.messageVersion = version
            return try #require(try platform.send(message).1)
        }
        #expect(try key(1).status == .success && key(2).status == .invalidParam, "2 was not verified at the launch")
        #expect(try key(0).payload != key(1).payload)
        #expect(try key(1, fields: 0).payload == key(1, fields: 0, version: 1).payload)
        #expect(try key(1, version: 1).status == .invalidParam, "version 1 does not know the field")
    }

    @Test("a guest that disables swapping keeps its pages where they are")
    func swapDisabled() throws {
        let platform = try Self.platform(58)
        try platform.makeGuest(policy: [.standard, .pageSwapDisabled])
        try platform.assign(TestPage.page, ASID(5), at: GPA(0x1000))
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x5000))
        let move = PageMoveBuffer(
            context: TestPage.context.address, source: TestPage.page.address, destination: TestPage.large.address)
        #expect(platform.run(move) == .policyFailure)
        platform.firmware.withFirmware { $0.guests[TestPage.context]?.policy = .standard }
        #expect(platform.run(move) == .success)
    }

    @Test(
        "a downloaded image runs at once, survives with guests, and is committed when asked to",
        arguments: [false, true])
    func download(_ commits: Bool) throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        func download(_ minor: UInt8, _ svn: UInt8, commits: Bool = false) -> FirmwareStatus {
            let image = FirmwareImage(product: .genoa, version: .minor(minor), securityVersion: svn).signed()
            platform.machine.memory.store(image, at: TestPage.idBlock.address)
            return platform.run(
                DownloadFirmwareExBuffer(
                    image: TestPage.idBlock.address, imageByteCount: UInt32(image.count), commits: commits))
        }
        #expect(download(58, 30, commits: commits) == .success)
        let status = platform.firmware.platformStatus
        #expect(status.apiMinor == 58 && status.state == .initialized && status.guestCount == 1)
        #expect(status.currentTCB.components(.milanGenoa).snp == 30)
        #expect(status.reportedTCB.components(.milanGenoa).snp == (commits ? 30 : 23))
        let report = try AttestationReportTests.report(platform)
        #expect(report[0] == 5 && Array(report[0x1e8..<0x1eb]) == [4, 58, 1])
        #expect(Array(report[0x1ec..<0x1ef]) == (commits ? [4, 58, 1] : [21, 55, 1]))
        // Back to what is between committed and running: only while nothing newer is committed.
        #expect(download(57, 30) == (commits ? .badVersion : .success))
        #expect(download(59, 29) == (commits ? .badSVN : .success))
        #expect(download(54, 99) == .badVersion, "below what was committed at boot")
    }

    @Test("no byte of an image can be changed, and none of it is an image to another product")
    func imageSignature() {
        let image = FirmwareImage(product: .milan, version: .minor(57), securityVersion: 9)
        let bytes = image.signed()
        #expect(FirmwareImage(verifying: bytes) == image)
        for index in stride(from: 0, to: bytes.count, by: 13) where !(0xa0..<0x240).contains(index) {
            let isNumber = index < 0x40 || index >= 0x240 || (index - 0x40) % 72 < 48
            guard isNumber else { continue }
            #expect(FirmwareImage(verifying: bytes.replacing(index, bytes[index] ^ 1)) == nil, "byte \(index)")
        }
        #expect(FirmwareImage(verifying: bytes.dropLast()) == nil && FirmwareImage(verifying: []) == nil)
    }

    @Test("the IOMMUs' buffers are firmware's from INIT to the IOMMU's shutdown, and the RMP must be rebuilt after it")
    func iommu() throws {
        let platform = try TestPlatform(initialized: false)
        let buffers = PFN(0xb00)..<PFN(0xb03)
        platform.machine.iommu.buffers = [buffers, TestPage.uncovered..<(TestPage.uncovered + 1)]
        try platform.require(platform.run(.snpInit))
        let rmp = platform.machine.rmp
        #expect(buffers.allSatisfy { rmp.entry($0).state == .firmwareIOMMU } && platform.machine.iommu.snpIsEnabled)
        #expect(platform.run(PageReclaimBuffer(page: PFN(0xb00).address)) == .invalidPageState)
        #expect(throws: RMPStatus.failPermission) { try rmp.rmpUpdate(PFN(0xb00).address, to: .shared(.size4K)) }
        try platform.flush()
        try platform.require(platform.run(ShutdownExBuffer(iommuShutdown: false)))
        #expect(buffers.allSatisfy { rmp.entry($0).state == .firmwareIOMMU } && platform.machine.iommu.snpIsEnabled)
        try platform.require(platform.run(InitExBuffer(initializeRMP: false)))
        try platform.flush()
        try platform.require(platform.run(ShutdownExBuffer(iommuShutdown: true)))
        #expect(buffers.allSatisfy { rmp.entry($0).state == .reclaim } && !platform.machine.iommu.snpIsEnabled)
        for pfn in buffers { try rmp.rmpUpdate(pfn.address, to: .shared(.size4K)) }
        #expect(platform.run(InitExBuffer(initializeRMP: false)) == .rmpInitRequired)
    }
}
