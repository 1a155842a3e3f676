// Fields of command buffers, the guest policy and TCB versions.

import SNPArchitecture
import Testing

@Suite("Firmware fields")
struct FirmwareFieldTests {
    @Test("SNP_LAUNCH_UPDATE: the driver's value is what the document lays out")
    func launchUpdate() {
        var buffer = LaunchUpdateBuffer(context: SPA(0x1000), page: SPA(0x20_0000), size: .size2M, type: .zero)
        buffer.isInitialMigrationImagePage = true
        buffer[.vmpl0] = .all
        buffer[.vmpl1] = [.read]
        buffer[.vmpl3] = .all
        #expect(
            buffer.encoded == [
                0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x17, 0, 0, 0, 0, 0, 0, 0,
                0x00, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 1, 0, 0x0f, 0, 0, 0, 0,
            ])
        #expect(buffer.pageSize == .size2M && buffer.pageType == .zero && buffer[.vmpl1] == .read)
        #expect(buffer[.vmpl0] == [] && buffer.reservedIsZero)
        buffer.pageType = .cpuid
        buffer.pageSize = .size4K
        #expect(buffer.bytes[0x08, as: UInt32.self] == 0x1c)
    }

    @Test("SNP_LAUNCH_START: flags, frequency and workarounds have their places")
    func launchStart() {
        var buffer = LaunchStartBuffer(context: SPA(0x3000), policy: .standard, desiredTSCKilohertz: 2_000_000)
        buffer.initialMigrationImage = true
        buffer.gosvw = [UInt8](1...16)
        #expect(buffer.encoded[0x08..<0x10] == [0, 0, 3, 0, 0, 0, 0, 0])
        #expect(buffer.encoded[0x18..<0x20] == [2, 0, 0, 0, 0x80, 0x84, 0x1e, 0])
        #expect(Array(buffer.encoded[0x20...]) == [UInt8](1...16) && buffer.gosvw == [UInt8](1...16))
    }

    @Test("SNP_LAUNCH_FINISH: flags and host data have their places")
    func launchFinish() {
        var buffer = LaunchFinishBuffer(context: SPA(0x3000), hostData: [UInt8](repeating: 7, count: 40))
        buffer.idBlockIsEnabled = true
        buffer.vcekIsDisabled = true
        #expect(buffer.encoded[0x18] == 5 && !buffer.authorKeyIsEnabled)
        #expect(buffer.hostData == [UInt8](repeating: 7, count: 32) && buffer.context == SPA(0x3000))
    }

    @Test("SNP_PAGE_RECLAIM: bit 0 is the size, bits 63:12 the address")
    func pageReclaim() {
        var buffer = PageReclaimBuffer(page: SPA(0x40_0000), size: .size2M)
        #expect(buffer.encoded == [1, 0, 0x40, 0, 0, 0, 0, 0])
        buffer.page = SPA(0x7fff)
        #expect(buffer.page == SPA(0x7000) && buffer.pageSize == .size2M)
    }

    @Test("the policy's fields are where the document puts them")
    func policy() {
        var policy = GuestPolicy.standard
        policy.abiMinor = 55
        policy.abiMajor = 1
        #expect(policy.rawValue == 0x30137)
        #expect(policy.abiMinor == 55 && policy.abiMajor == 1)
        let flags: [GuestPolicy] = [
            .smtAllowed, .mustBeOne, .migrationAgentAllowed, .debugAllowed, .singleSocket, .cxlAllowed,
            .memoryAES256XTS, .raplDisabled, .ciphertextHiding, .pageSwapDisabled,
        ]
        for (index, flag) in flags.enumerated() { #expect(flag.rawValue == 1 << UInt64(16 + index)) }
        #expect(GuestPolicy.reserved.rawValue == 0xffff_ffff_fc00_0000)
        #expect(GuestPolicy.reservedIn155.rawValue == 0xffff_ffff_ffe0_0000)
        #expect(flags.reduce(0) { $0 | $1.rawValue } & GuestPolicy.reserved.rawValue == 0)
    }

    @Test("a TCB version has its bytes in the order of its product")
    func tcb() {
        let parts = TCBComponents(fmc: 5, bootLoader: 1, tee: 2, snp: 3, microcode: 4)
        #expect(TCBVersion(parts, layout: .milanGenoa).rawValue == 0x0403_0000_0000_0201)
        #expect(TCBVersion(parts, layout: .turin).rawValue == 0x0400_0000_0302_0105)
        for layout in TCBLayout.allCases {
            let version = TCBVersion(parts, layout: layout)
            #expect(version.rawValue & TCBVersion.reserved(layout) == 0)
            var expected = parts
            if layout == .milanGenoa { expected.fmc = 0 }
            #expect(version.components(layout) == expected)
        }
        #expect(TCBVersion(parts, layout: .turin).comparisonNumber(.turin) == 0x05_0102_0304)
    }

    @Test("keys and signatures turn big-endian numbers of 48 bytes into little-endian ones of 72")
    func numbers() {
        let number = [UInt8](1...48)
        let key = FirmwarePublicKey(p384BigEndianX: number, y: number)
        #expect(key.encoded[0] == 2 && key.encoded[4] == 48 && key.encoded[4 + 47] == 1 && key.encoded[4 + 48] == 0)
        let signature = FirmwareSignature(p384BigEndianR: number, s: number)
        #expect(signature.encoded[0] == 48 && signature.encoded[0x48] == 48 && signature.encoded[0x90] == 0)
    }

    @Test("a list that claims more elements than fit is read only as far as it fits")
    func oversizedLists() {
        var bytes = [UInt8](repeating: 0, count: 0x1000)
        bytes.replaceSubrange(0..<4, with: [0xff, 0xff, 0xff, 0xff])
        #expect(RangeList(decoding: bytes).ranges.count == 255 && RangeList(decoding: bytes).count == .max)
        #expect(CPUIDPage(decoding: bytes).functions.count == 64 && CPUIDPage(decoding: bytes).count == .max)
    }
}
