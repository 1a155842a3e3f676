import Attestation
import Foundation
import SNPArchitecture
import Testing

/// Certificates and a report that AMD hardware made. They are not part of the repository.
enum RealData {
    static let folder: URL = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.appendingPathComponent("../shared/data/attestation").standardizedFileURL
    }()
    static var isPresent: Bool { FileManager.default.fileExists(atPath: folder.path) }
    static let absence: Comment = "the folder ../shared/data/attestation with real reports and certificates is absent"

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }
    static func certificate(_ name: String) throws -> Certificate {
        try #require(try Certificate.all(contents: bytes(name)).first)
    }
    static func report() throws -> [UInt8] {
        let digits = String(decoding: try bytes("milan-report.hex"), as: UTF8.self).filter { $0.isHexDigit }
        return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
            UInt8(digits.dropFirst(offset).prefix(2), radix: 16)
        }
    }
    static func chain() throws -> EndorsementChain {
        let date = CertificateTime(year: 2026, month: 6, day: 1)
        let authority = try AuthorityChain(
            ark: certificate("milan-ark.pem"), intermediate: certificate("milan-ask.pem"), trust: .amd, at: date)
        return try EndorsementChain(endorsement: certificate("milan-vcek.der"), under: authority, at: date)
    }
}

@Suite("Reports and certificates of AMD hardware", .enabled(if: RealData.isPresent, RealData.absence))
struct RealDataTests {
    @Test("The Milan report verifies up to AMD's root")
    func milan() throws {
        let chain = try RealData.chain()
        #expect(chain.product == .milan)
        #expect(chain.role == .vcek)
        #expect(chain.endorsement.endorsement.productName == "Milan-B0")
        let report = try chain.verify(report: RealData.report(), policy: ReportPolicy())
        #expect(report.version == .v2)
        #expect(report.policy == .standard)
        let levels = report.reportedTCB.components(.milanGenoa)
        #expect(levels == TCBComponents(bootLoader: 3, tee: 0, snp: 8, microcode: 0x73))
        #expect(report.committedFirmware == ReportedFirmwareVersion(build: 4, minor: 0x34, major: 1))
        #expect(report.encoded == (try RealData.report()))
    }

    @Test("AMD's root verifies the intermediate", arguments: AttestationProduct.allCases)
    func authorities(_ product: AttestationProduct) throws {
        let name = product.rawValue.lowercased()
        let chain = try AuthorityChain(
            ark: RealData.certificate("\(name)-ark.pem"), intermediate: RealData.certificate("\(name)-ask.pem"),
            trust: .amd, at: CertificateTime(year: 2026, month: 6, day: 1))
        #expect(chain.product == product)
        #expect(chain.intermediateRole == .ask)
    }

    @Test("A root of one product does not verify another's intermediate")
    func swapped() throws {
        let ark = try RealData.certificate("milan-ark.pem")
        let ask = try RealData.certificate("genoa-ask.pem")
        #expect(throws: AttestationError.chainProduct(.ask, found: "Genoa", expected: .milan)) {
            try AuthorityChain(
                ark: ark, intermediate: ask, trust: .amd, at: CertificateTime(year: 2026, month: 6, day: 1))
        }
    }

    @Test("The chip's certificate ends in 2030")
    func expired() throws {
        let authority = try RealData.chain().authority
        let vcek = try RealData.certificate("milan-vcek.der")
        #expect(throws: AttestationError.expired(.vcek, since: vcek.notAfter)) {
            try EndorsementChain(
                endorsement: vcek, under: authority, at: CertificateTime(year: 2030, month: 4, day: 4))
        }
        #expect(vcek.notAfter.description == "2030-04-03")
    }

    @Test("No byte of the signed part or the signature can change unnoticed")
    func everyByte() throws {
        let chain = try RealData.chain()
        let good = try RealData.report()
        for offset in stride(from: 0, to: good.count, by: 7) {
            var bad = good
            bad[offset] ^= 0x01
            #expect(throws: AttestationError.self, "offset \(offset)") { try chain.verify(report: bad) }
        }
    }

    @Test("PEM and DER of a certificate are the same certificate")
    func pem() throws {
        let vcek = try RealData.certificate("milan-vcek.der")
        #expect(try Certificate.all(pem: vcek.pem) == [vcek])
        let both = try RealData.certificate("milan-ask.pem").pem + "\n" + RealData.certificate("milan-ark.pem").pem
        #expect(try Certificate.all(pem: both).map(\.subject.commonName) == ["SEV-Milan", "ARK-Milan"])
    }

    @Test("The test authority writes what AMD writes, but for names, dates, serial number and signature")
    func layout() throws {
        let real = try RealData.certificate("milan-vcek.der")
        let levels = try RealData.chain().verify(report: RealData.report()).reportedTCB
        let ours = try TestAuthority(product: .milan).vcek(
            publicKey: Array(real.publicKeyInfo.suffix(96)), tcb: levels,
            chipIdentifier: try #require(real.endorsement.hardwareID))
        #expect(ours.endorsement == real.endorsement)
        let algorithm = try #require(real.der.firstIndex(of: 0x46).map { Array(real.der[($0 - 1)...].prefix(72)) })
        #expect(ours.der.contains(algorithm))
        let start = try #require(
            real.der.indices.first { real.der[$0...].starts(with: real.publicKeyInfo) })
        let keyAndExtensions = Array(real.der[start..<(real.der.count - 517 - 72)])
        #expect(keyAndExtensions.count == 120 + 282)
        #expect(ours.der.contains(keyAndExtensions))
    }
}
