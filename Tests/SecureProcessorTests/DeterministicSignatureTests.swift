// Signatures that repeat: against numbers from elsewhere, under the library's own verification, and in whole reports.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Deterministic signatures")
struct DeterministicSignatureTests {
    static let rows = ((try? specTable("deterministic-signatures.tsv")) ?? []).map { row in
        (row: row, key: bytes(hex: row[0]), message: row[1] == "-" ? [] : bytes(hex: row[1]), r: row[2], s: row[3])
    }

    @Test("the first two rows are RFC 6979's own, A.2.6 with SHA-384")
    func publishedRows() {
        #expect(Self.rows.count == 102)
        #expect(Self.rows[0].message == Array("sample".utf8) && Self.rows[1].message == Array("test".utf8))
        #expect(Self.rows[0].r.hasPrefix("94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa7"))
        #expect(Self.rows[0].s.hasPrefix("99ef4aeb15f178cea1fe40db2603138f130e740a19624526"))
        #expect(Self.rows[1].r.hasPrefix("8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36"))
        #expect(Self.rows[1].s.hasPrefix("ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b"))
    }

    @Test("every row: the signature is the table's, verifies for the message and for no other")
    func table() throws {
        for (row, key, message, r, s) in Self.rows {
            let key = try P384.Signing.PrivateKey(rawRepresentation: key)
            let made = DeterministicSigner(key).sign(SHA384.hash(data: message))
            #expect(hex(made.r) == r && hex(made.s) == s)
            let signature = try P384.Signing.ECDSASignature(rawRepresentation: made.r + made.s)
            #expect(key.publicKey.isValidSignature(signature, for: SHA384.hash(data: message)))
            SpecCoverage.hit("deterministic-signatures.tsv", row, accepted: true)
            #expect(!key.publicKey.isValidSignature(signature, for: SHA384.hash(data: message + [0])))
            SpecCoverage.hit("deterministic-signatures.tsv", row, accepted: false)
        }
    }

    /// n, 48 big-endian bytes, plus a small number.
    static func order(_ offset: Int = 0) -> [UInt8] {
        var number = bytes(
            hex: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
        number[47] = UInt8(Int(number[47]) + offset)
        return number
    }

    @Test("numbers are read below the order or modulo it")
    func reading() {
        #expect(P384Scalar(bigEndian: Self.order()) == nil && P384Scalar(bigEndian: Self.order(1)) == nil)
        #expect(P384Scalar(bigEndian: Self.order(-1))?.bigEndian == Self.order(-1))
        #expect(P384Scalar(reducing: Self.order()).isZero)
        #expect(P384Scalar(reducing: Self.order(2)).bigEndian == [UInt8](repeating: 0, count: 47) + [2])
        // 2^384 - 1 - n, computed apart.
        #expect(
            hex(P384Scalar(reducing: [UInt8](repeating: 0xff, count: 48)).bigEndian)
                == "000000000000000000000000000000000000000000000000389cb27e0bc8d220a7e5f24db74f58851313e695333ad68c")
    }

    @Test("sum, product and inverse modulo the order, at its edges and at numbers with long runs of zeros")
    func arithmetic() {
        let one = P384Scalar(reducing: [UInt8](repeating: 0, count: 47) + [1])
        let largest = P384Scalar(reducing: Self.order(-1))
        #expect((one + largest).isZero && (largest * largest).bigEndian == one.bigEndian)
        #expect((largest + largest).bigEndian == Self.order(-2))
        #expect(!one.isZero && one.inverse.bigEndian == one.bigEndian)
        #expect(largest.inverse.bigEndian == largest.bigEndian)
        for index in 0..<48 {
            for bit in [1, 0x40, 0x80, 0xff] as [UInt8] {
                let number = P384Scalar(reducing: [UInt8](repeating: 0, count: 48).replacing(index, bit))
                #expect((number * number.inverse).bigEndian == one.bigEndian, "\(bit) at \(index)")
                let near = P384Scalar(reducing: Self.order(-1).replacing(index, bit))
                #expect((near * near.inverse).bigEndian == one.bigEndian, "\(bit) at \(index) of the order")
            }
        }
    }

    @Test("two hosts of the same seed give the same report, byte for byte, and another seed gives another")
    func reports() throws {
        func report(seed: UInt64) throws -> [UInt8] {
            let platform = try TestPlatform(configuration: FirmwareConfiguration(seed: seed, chipSeed: seed))
            try platform.makeRunningGuest()
            let report = try AttestationReportTests.report(platform)
            #expect(try AttestationReportTests.report(platform) == report, "asked again")
            #expect(try AttestationReportTests.isSigned(report, by: platform.firmware.vcekPublicKey()))
            return report
        }
        let first = try report(seed: 7)
        #expect(try report(seed: 7) == first)
        #expect(try report(seed: 8)[0x2a0...] != first[0x2a0...])
    }
}
