import SNPArchitecture
import Testing

@Suite("The layout of attestation reports")
struct ReportLayoutTests {
    @Test("The fields of each version cover every byte once, in order", arguments: AttestationReportVersion.allCases)
    func coverage(_ version: AttestationReportVersion) {
        var end = 0
        for field in AttestationReport.fields(version) {
            #expect(field.offset == end, "\(field.name)")
            end += field.byteCount
        }
        #expect(end == 0x4a0)
        #expect(AttestationReport.byteCount == 0x4a0 && AttestationReport.signedByteCount == 0x2a0)
    }

    @Test("Bytes with a meaning survive decoding and encoding", arguments: AttestationReportVersion.allCases)
    func roundTrip(_ version: AttestationReportVersion) throws {
        var bytes = [UInt8](repeating: 0, count: 0x4a0)
        for field in AttestationReport.fields(version) where field.kind != .reserved {
            for index in 0..<field.byteCount { bytes[field.offset + index] = UInt8(index * 7 & 0xff) | 1 }
        }
        bytes.replaceSubrange(0..<4, with: [UInt8(version.rawValue), 0, 0, 0])
        bytes.replaceSubrange(0x48..<0x4c, with: [0x1f, 0, 0, 0])
        let report = try AttestationReport(decoding: bytes)
        #expect(report.encoded == bytes)
        #expect(report.signingKey == .none && report.authorKeyEnabled && report.chipKeyMasked)
        #expect((report.processor != nil) == (version != .v2))
        #expect((report.launchMitigations != nil) == (version == .v5))
    }

    @Test("Every reserved byte that is not zero is refused by its offset", arguments: AttestationReportVersion.allCases)
    func reserved(_ version: AttestationReportVersion) {
        let good = AttestationReport(
            version: version, policy: .standard, measurement: [UInt8](repeating: 0, count: 48)
        ).encoded
        for field in AttestationReport.fields(version) where field.kind == .reserved {
            for offset in field.offset..<(field.offset + field.byteCount) {
                var bad = good
                bad[offset] = 0x10
                #expect(throws: ReportFormatError.reservedBits(offset: offset)) { try AttestationReport(decoding: bad) }
            }
        }
    }

    @Test("Only versions 2 to 5 are read")
    func versions() {
        for version in UInt32(0)...300 {
            var bytes = [UInt8](repeating: 0, count: 0x4a0)
            bytes[0] = UInt8(version & 0xff)
            bytes[1] = UInt8(version >> 8)
            if (2...5).contains(version) {
                #expect(throws: Never.self) { try AttestationReport(decoding: bytes) }
            } else {
                #expect(throws: ReportFormatError.unknownVersion(version)) { try AttestationReport(decoding: bytes) }
            }
        }
    }

    @Test("Only 1184 bytes are a report")
    func lengths() {
        for count in [0, 1, 3, 4, 0x29f, 0x2a0, 0x49f, 0x4a1, 0x1000] {
            let bytes = [UInt8](repeating: 2, count: count)
            #expect(throws: ReportFormatError.length(count)) { try AttestationReport(decoding: bytes) }
        }
    }

    @Test("Products by family and model")
    func products() {
        let rows: [(Int, Int, AttestationProduct?)] = [
            (0x19, 0x00, .milan), (0x19, 0x0f, .milan), (0x19, 0x10, .genoa), (0x19, 0x1f, .genoa), (0x19, 0x20, nil),
            (0x19, 0x9f, nil), (0x19, 0xa0, .genoa), (0x19, 0xaf, .genoa), (0x19, 0xb0, nil), (0x1a, 0x00, .turin),
            (0x1a, 0x11, .turin), (0x1a, 0x12, nil), (0x17, 0x01, nil),
        ]
        for (family, model, product) in rows {
            #expect(AttestationProduct(family: family, model: model) == product, "\(family) \(model)")
        }
        #expect(AttestationProduct(certificateName: "Milan-B0") == .milan)
        #expect(AttestationProduct(certificateName: "Milano") == nil)
        #expect(AttestationProduct(certificateName: "") == nil)
    }
}
