// Layouts of the firmware ABI against the document's numbers, field by field.

import SNPArchitecture
import Testing

/// One structure, with its size and the offset of each named field as the document gives them.
struct LayoutCase: Sendable, CustomTestStringConvertible {
    var name: String
    var type: any (FirmwareLayout & Equatable).Type
    var byteCount: Int
    var offsets: [String: Int]
    var testDescription: String { name }
}

@Suite("Firmware structures")
struct FirmwareLayoutTests {
    static let cases: [LayoutCase] = [
        LayoutCase(
            name: "SNP_INIT_EX", type: InitExBuffer.self, byteCount: 0x40,
            offsets: ["FLAGS": 0, "LIST_PADDR": 8, "MAX_SNP_ASID": 0x10]),
        LayoutCase(
            name: "SNP_SHUTDOWN_EX", type: ShutdownExBuffer.self, byteCount: 8, offsets: ["LENGTH": 0, "FLAGS": 4]),
        LayoutCase(
            name: "SNP_PLATFORM_STATUS", type: PlatformStatusBuffer.self, byteCount: 8, offsets: ["STATUS_PADDR": 0]),
        LayoutCase(
            name: "SNP_GUEST_STATUS", type: GuestStatusBuffer.self, byteCount: 0x10,
            offsets: ["GCTX_PADDR": 0, "STATUS_PADDR": 8]),
        LayoutCase(name: "SNP_GCTX_CREATE", type: GCTXCreateBuffer.self, byteCount: 8, offsets: ["GCTX_PADDR": 0]),
        LayoutCase(name: "SNP_DECOMMISSION", type: DecommissionBuffer.self, byteCount: 8, offsets: ["GCTX_PADDR": 0]),
        LayoutCase(
            name: "SNP_ACTIVATE", type: ActivateBuffer.self, byteCount: 0x10, offsets: ["GCTX_PADDR": 0, "ASID": 8]),
        LayoutCase(
            name: "SNP_LAUNCH_START", type: LaunchStartBuffer.self, byteCount: 0x30,
            offsets: [
                "GCTX_PADDR": 0, "POLICY": 8, "MA_GCTX_PADDR": 0x10, "FLAGS": 0x18, "DESIRED_TSC_FREQ": 0x1c,
                "GOSVW": 0x20,
            ]),
        LayoutCase(
            name: "SNP_LAUNCH_UPDATE", type: LaunchUpdateBuffer.self, byteCount: 0x20,
            offsets: [
                "GCTX_PADDR": 0, "FLAGS": 8, "PAGE_PADDR": 0x10, "VMPL1_PERMS": 0x19, "VMPL2_PERMS": 0x1a,
                "VMPL3_PERMS": 0x1b,
            ]),
        LayoutCase(
            name: "SNP_LAUNCH_FINISH", type: LaunchFinishBuffer.self, byteCount: 0x40,
            offsets: [
                "GCTX_PADDR": 0, "ID_BLOCK_PADDR": 8, "ID_AUTH_PADDR": 0x10, "FLAGS": 0x18, "HOST_DATA": 0x20,
            ]),
        LayoutCase(name: "SNP_PAGE_RECLAIM", type: PageReclaimBuffer.self, byteCount: 8, offsets: ["PAGE_PADDR": 0]),
        LayoutCase(name: "SNP_PAGE_UNSMASH", type: PageUnsmashBuffer.self, byteCount: 8, offsets: ["PAGE_PADDR": 0]),
        LayoutCase(
            name: "SNP_CONFIG", type: ConfigBuffer.self, byteCount: 0x40, offsets: ["REPORTED_TCB": 0, "FLAGS": 8]),
        LayoutCase(name: "SNP_COMMIT", type: CommitBuffer.self, byteCount: 4, offsets: ["LENGTH": 0]),
        LayoutCase(
            name: "SNP_FEATURE_INFO", type: FeatureInfoBuffer.self, byteCount: 0x10,
            offsets: ["LENGTH": 0, "ECX_IN": 4, "FEATURE_INFO_PADDR": 8]),
        LayoutCase(
            name: "SNP_DOWNLOAD_FIRMWARE_EX", type: DownloadFirmwareExBuffer.self, byteCount: 0x18,
            offsets: ["LENGTH": 0, "FW_PADDR": 8, "FW_LEN": 0x10, "FLAGS": 0x14]),
        LayoutCase(
            name: "SNP_VERIFY_MITIGATION", type: VerifyMitigationBuffer.self, byteCount: 0x40,
            offsets: ["LENGTH": 0, "SUBCOMMAND": 4, "VECTOR": 8, "FLAGS": 0x10, "SRC_PADDR": 0x18, "DST_PADDR": 0x20]),
        LayoutCase(
            name: "mitigation status", type: MitigationStatus.self, byteCount: 0x18,
            offsets: ["MIT_VERIFIED_VECTOR": 0, "MIT_SUPPORTED_VECTOR": 8, "MIT_FAILURE_STATUS": 0x10]),
        LayoutCase(
            name: "feature information", type: FeatureInfo.self, byteCount: 0x10,
            offsets: ["EAX": 0, "EBX": 4, "ECX": 8, "EDX": 0xc]),
        LayoutCase(
            name: "legacy INIT", type: SEVInitBuffer.self, byteCount: 0x14,
            offsets: ["FLAGS": 0, "TMR_PADDR": 8, "TMR_LENGTH": 0x10]),
        LayoutCase(
            name: "legacy INIT_EX", type: SEVInitExBuffer.self, byteCount: 0x24,
            offsets: [
                "LENGTH": 0, "FLAGS": 4, "TMR_PADDR": 8, "TMR_LENGTH": 0x10, "NV_PADDR": 0x18, "NV_LENGTH": 0x20,
            ]),
        LayoutCase(
            name: "legacy PLATFORM_STATUS", type: SEVPlatformStatusBuffer.self, byteCount: 0xc,
            offsets: [
                "API_MAJOR": 0, "API_MINOR": 1, "STATE": 2, "OWNER": 3, "CONFIG_ES_BUILD": 4, "GUEST_COUNT": 8,
            ]),
        LayoutCase(
            name: "legacy GET_ID", type: SEVGetIDBuffer.self, byteCount: 0xc, offsets: ["ID_PADDR": 0, "ID_LENGTH": 8]),
        LayoutCase(
            name: "legacy PEK_CSR", type: SEVCertificateRequestBuffer.self, byteCount: 0xc,
            offsets: ["CSR_PADDR": 0, "CSR_LENGTH": 8]),
        LayoutCase(
            name: "legacy DOWNLOAD_FIRMWARE", type: SEVDownloadFirmwareBuffer.self, byteCount: 0xc,
            offsets: ["FW_PADDR": 0, "FW_LEN": 8]),
        LayoutCase(
            name: "legacy PDH_CERT_EXPORT", type: SEVCertificateExportBuffer.self, byteCount: 0x1c,
            offsets: ["PDH_CERT_PADDR": 0, "PDH_CERT_LENGTH": 8, "CERTS_PADDR": 0x10, "CERTS_LENGTH": 0x18]),
        LayoutCase(
            name: "platform status", type: PlatformStatus.self, byteCount: 0x20,
            offsets: [
                "API_MAJOR": 0, "API_MINOR": 1, "STATE": 2, "IS_RMP_INIT": 3, "BUILD": 4, "FEATURES": 8,
                "GUEST_COUNT": 0xc, "TCB_VERSION": 0x10, "REPORTED_TCB": 0x18,
            ]),
        LayoutCase(
            name: "guest status", type: GuestStatus.self, byteCount: 0x20,
            offsets: ["POLICY": 0, "ASID": 8, "STATE": 0xc, "FLAGS": 0x10]),
        LayoutCase(
            name: "PAGE_INFO", type: PageInfo.self, byteCount: 0x70,
            offsets: [
                "DIGEST_CUR": 0, "CONTENTS": 0x30, "LENGTH": 0x60, "PAGE_TYPE": 0x62, "IMI_PAGE": 0x63,
                "VMPL1_PERMS": 0x65, "VMPL2_PERMS": 0x66, "VMPL3_PERMS": 0x67, "GPA": 0x68,
            ]),
        LayoutCase(
            name: "CPUID entry", type: CPUIDFunction.self, byteCount: 0x30,
            offsets: [
                "EAX_IN": 0, "ECX_IN": 4, "XCR0_IN": 8, "XSS_IN": 0x10, "EAX": 0x18, "EBX": 0x1c, "ECX": 0x20,
                "EDX": 0x24,
            ]),
        LayoutCase(
            name: "CPUID page", type: CPUIDPage.self, byteCount: 0x1000,
            offsets: ["COUNT": 0, "CPUID_FUNCTION": 0x10]),
        LayoutCase(
            name: "range list", type: RangeList.self, byteCount: 0x1000, offsets: ["NUM_ELEMENTS": 0, "RANGES": 8]),
        LayoutCase(
            name: "ID block", type: IDBlock.self, byteCount: 0x60,
            offsets: [
                "LD": 0, "FAMILY_ID": 0x30, "IMAGE_ID": 0x40, "VERSION": 0x50, "GUEST_SVN": 0x54, "POLICY": 0x58,
            ]),
        LayoutCase(
            name: "public key", type: FirmwarePublicKey.self, byteCount: 0x404,
            offsets: ["CURVE": 0, "QX": 4, "QY": 0x4c]),
        LayoutCase(
            name: "signature", type: FirmwareSignature.self, byteCount: 0x200, offsets: ["R": 0, "S": 0x48]),
        LayoutCase(
            name: "ID authentication", type: IDAuthentication.self, byteCount: 0x1000,
            offsets: [
                "ID_KEY_ALGO": 0, "AUTH_KEY_ALGO": 4, "ID_BLOCK_SIG": 0x40, "ID_KEY": 0x240, "ID_KEY_SIG": 0x680,
                "AUTHOR_KEY": 0x880,
            ]),
        LayoutCase(
            name: "secrets page", type: SecretsPage.self, byteCount: 0x1000,
            offsets: [
                "VERSION": 0, "FLAGS": 4, "FMS": 8, "GOSVW": 0x10, "VMPCK0": 0x20, "VMPCK1": 0x40, "VMPCK2": 0x60,
                "VMPCK3": 0x80, "GUEST_OS_AREA": 0xa0, "VMSA_TWEAK_BITMAP": 0x100, "SVSM_AREA": 0x140,
                "TSC_FACTOR": 0x160,
            ]),
    ]
    static let allCases = cases + laterCases

    @Test("the size and every named field's offset are the document's", arguments: allCases)
    func offsets(_ layout: LayoutCase) {
        #expect(layout.type.byteCount == layout.byteCount)
        let named = layout.type.fields.filter { $0.kind != .reserved && $0.kind != .unused }
        #expect(Dictionary(uniqueKeysWithValues: named.map { ($0.name, $0.offset) }) == layout.offsets)
    }

    @Test("fields follow each other without gap or overlap and fill the structure", arguments: allCases)
    func coverage(_ layout: LayoutCase) {
        var end = 0
        for field in layout.type.fields {
            #expect(field.offset == end, "\(field.name) starts where the last field ended")
            if case .integer = field.kind { #expect([1, 2, 4, 8].contains(field.byteCount)) }
            end = field.offset + field.byteCount
        }
        #expect(end == layout.byteCount)
    }

    @Test("encoding what was decoded gives the same bytes, reserved ones aside", arguments: allCases)
    func roundTrip(_ layout: LayoutCase) {
        func check<T: FirmwareLayout & Equatable>(_ type: T.Type) {
            var seed: UInt64 = 0x9e37_79b9_7f4a_7c15
            for _ in 0..<8 {
                var bytes = (0..<type.byteCount).map { _ in
                    seed = seed &* 6_364_136_223_846_793_005 &+ 1
                    return UInt8(truncatingIfNeeded: seed >> 56)
                }
                for (index, mask) in type.reservedMask.enumerated() { bytes[index] &= ~mask }
                for field in type.fields where field.kind == .unused && field.name == "unused" {
                    for index in field.offset..<(field.offset + field.byteCount) { bytes[index] = 0 }
                }
                if type is any VariableCount.Type { bytes.replaceSubrange(0..<4, with: [255, 0, 0, 0]) }
                if type == CPUIDPage.self {
                    bytes.replaceSubrange(0..<4, with: [64, 0, 0, 0])
                    for entry in 0..<64 { for index in 0..<8 { bytes[0x10 + entry * 0x30 + 0x28 + index] = 0 } }
                }
                let decoded = type.init(decoding: bytes)
                #expect(decoded.encoded == bytes)
                #expect(type.init(decoding: decoded.encoded) == decoded)
                #expect(decoded.encoded.count == type.byteCount)
            }
        }
        check(layout.type)
    }

    static let buffers: [any CommandBuffer.Type] = [
        InitExBuffer.self, ShutdownExBuffer.self, PlatformStatusBuffer.self, GuestStatusBuffer.self,
        GCTXCreateBuffer.self, DecommissionBuffer.self, ActivateBuffer.self, LaunchStartBuffer.self,
        LaunchUpdateBuffer.self, LaunchFinishBuffer.self, PageReclaimBuffer.self, PageUnsmashBuffer.self,
        ConfigBuffer.self, CommitBuffer.self, FeatureInfoBuffer.self, DownloadFirmwareExBuffer.self,
        VerifyMitigationBuffer.self, SEVInitBuffer.self, SEVInitExBuffer.self, SEVPlatformStatusBuffer.self,
        SEVGetIDBuffer.self, SEVCertificateRequestBuffer.self, SEVCertificateExportBuffer.self,
        SEVDownloadFirmwareBuffer.self,
    ]

    @Test("each bit of a command buffer is reserved exactly if its field says so")
    func reservedBits() throws {
        for type in Self.buffers + Self.laterBuffers {
            let mask = type.reservedMask
            for bit in 0..<(type.byteCount * 8) {
                var bytes = [UInt8](repeating: 0, count: type.byteCount)
                bytes[bit / 8] = 1 << UInt8(bit % 8)
                let isReserved = mask[bit / 8] & bytes[bit / 8] != 0
                #expect(type.init(decoding: bytes).reservedIsZero == !isReserved, "\(type) bit \(bit)")
            }
            let name = try #require(
                (FirmwareCommand.named + FirmwareCommand.legacyNamed).first { $0.command == type.command })
            #expect(name.bufferSize == type.byteCount, "\(type)")
        }
    }

    @Test("every SNP command with a buffer has its layout checked here")
    func everyCommand() {
        let checked = Set((Self.buffers + Self.laterBuffers).map { $0.command })
        let named = FirmwareCommand.named.filter { $0.bufferSize > 0 && (0x81...0xce).contains($0.command.rawValue) }
        let missing = Set(named.map(\.command)).subtracting(checked)
        #expect(named.count >= 27 && missing.isEmpty)
        for type in Self.buffers + Self.laterBuffers {
            #expect(Self.allCases.contains { ObjectIdentifier($0.type) == ObjectIdentifier(type) }, "\(type)")
        }
    }

    @Test("the reserved masks are the document's")
    func reservedMasks() {
        #expect(PageSwapOutBuffer.reservedMask[0x18..<0x28].allSatisfy { $0 == 0 })
        #expect(PageSwapOutBuffer.reservedMask[0x28...] == [0xe8, 255, 255, 255, 255, 255, 255, 255])
        #expect(PageSwapInBuffer.reservedMask[0x20...].prefix(9) == [255, 255, 255, 255, 255, 255, 255, 255, 0xe0])
        #expect(PageMoveBuffer.reservedMask[0x08..<0x0c] == [0xfe, 255, 255, 255])
        #expect(GuestRequestBuffer.reservedMask[0x08...].allSatisfy { $0 == 0 })
        #expect(VLEKLoadBuffer.reservedMask == [0, 0, 0, 0, 0, 255, 255, 255] + [UInt8](repeating: 0, count: 8))
        #expect(ActivateExBuffer.reservedMask[0x10...].allSatisfy { $0 == 0 })
        #expect(
            LaunchUpdateBuffer.reservedMask.prefix(0x20) == [
                0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
            ])
        #expect(PageReclaimBuffer.reservedMask == [0xfe, 0x0f, 0, 0, 0, 0, 0, 0])
        #expect(LaunchFinishBuffer.reservedMask[0x18..<0x20] == [0xf8, 255, 255, 255, 255, 255, 255, 255])
        #expect(LaunchFinishBuffer.reservedMask[0x08..<0x18].allSatisfy { $0 == 0 })
        #expect(InitExBuffer.reservedMask[0..<8] == [0xf0, 255, 255, 255, 255, 255, 255, 255])
        #expect(PlatformStatusBuffer.reservedMask.allSatisfy { $0 == 0 })
    }
}

/// A structure whose first four bytes count its elements.
protocol VariableCount {}
extension RangeList: VariableCount {}
