import Attestation
import SNPArchitecture
import Testing

@Suite("Chains of certificates")
struct ChainMutationTests {
    @Test("Each spoilt chain is refused for its cause", arguments: mutations)
    func refused(_ mutation: Mutation) { mutation.check() }

    static let mutations: [Mutation] = names + dates + keys + forms + trust

    static let names: [Mutation] = [
        Mutation("root named otherwise", .wrongSubject(.ark, found: "SEV-Milan")) { $0.ark.subject = "SEV-Milan" },
        Mutation("root of an unknown product", .wrongSubject(.ark, found: "ARK-Rome")) { $0.ark.subject = "ARK-Rome" },
        Mutation("root not its own issuer", .wrongIssuer(.ark, found: "ARK-Genoa", expected: "ARK-Milan")) {
            $0.ark.issuer = "ARK-Genoa"
        },
        Mutation("intermediate is a VCEK", .wrongSubject(.ask, found: "SEV-VCEK")) { $0.ask.subject = "SEV-VCEK" },
        Mutation("root and intermediate swapped", .wrongSubject(.ark, found: "SEV-Milan")) {
            swap(&$0.ark, &$0.ask)
        },
        Mutation("intermediate and VCEK swapped", .wrongSubject(.ask, found: "SEV-VCEK")) {
            swap(&$0.ask, &$0.endorsement)
        },
        Mutation("intermediate of another product", .chainProduct(.ask, found: "Genoa", expected: .milan)) {
            $0.ask.subject = "SEV-Genoa"
        },
        Mutation("intermediate of another issuer", .wrongIssuer(.ask, found: "ARK-Turin", expected: "ARK-Milan")) {
            $0.ask.issuer = "ARK-Turin"
        },
        Mutation("VCEK under an ASVK", .wrongSubject(.vlek, found: "SEV-VCEK"), vlek: true) {
            $0.endorsement.subject = "SEV-VCEK"
        },
        Mutation("VLEK under an ASK", .wrongSubject(.vcek, found: "SEV-VLEK")) { $0.endorsement.subject = "SEV-VLEK" },
        Mutation("VCEK of another issuer", .wrongIssuer(.vcek, found: "SEV-Genoa", expected: "SEV-Milan")) {
            $0.endorsement.issuer = "SEV-Genoa"
        },
        Mutation("VCEK of another product", .chainProduct(.vcek, found: "Genoa-B1", expected: .milan)) {
            $0.setExtension("2", DER.text("Genoa-B1", tag: 0x16))
        },
        Mutation("VCEK of an unknown product", .chainProduct(.vcek, found: "Rome", expected: .milan)) {
            $0.setExtension("2", DER.text("Rome", tag: 0x16))
        },
        Mutation("VCEK without product", .missingExtension(.vcek, "productName")) { $0.setExtension("2", nil) },
    ]

    static let past = "20250101000000Z"
    static let future = "20400101000000Z"
    static let pastDate = CertificateTime(year: 2025, month: 1, day: 1)
    static let futureDate = CertificateTime(year: 2040, month: 1, day: 1)
    static let dates: [Mutation] = [
        Mutation("root expired", .expired(.ark, since: pastDate)) { $0.ark.notAfter = past },
        Mutation("root not yet valid", .notYetValid(.ark, from: futureDate)) { $0.ark.notBefore = future },
        Mutation("ASK expired", .expired(.ask, since: pastDate)) { $0.ask.notAfter = past },
        Mutation("ASVK expired", .expired(.asvk, since: pastDate), vlek: true) { $0.ask.notAfter = past },
        Mutation("ASK not yet valid", .notYetValid(.ask, from: futureDate)) { $0.ask.notBefore = future },
        Mutation("VCEK expired", .expired(.vcek, since: pastDate)) { $0.endorsement.notAfter = past },
        Mutation("VLEK expired", .expired(.vlek, since: pastDate), vlek: true) { $0.endorsement.notAfter = past },
        Mutation("VCEK not yet valid", .notYetValid(.vcek, from: futureDate)) { $0.endorsement.notBefore = future },
        Mutation("all expired", .expired(.ark, since: CertificateTime(year: 2044, month: 1, day: 1))) {
            $0.date = CertificateTime(year: 2050, month: 1, day: 1)
        },
    ]

    static let keys: [Mutation] = [
        Mutation("root signed by another", .certificateSignature(.ark)) { $0.ark.signer = .intermediate },
        Mutation("ASK signed by itself", .certificateSignature(.ask)) { $0.ask.signer = .intermediate },
        Mutation("VCEK signed by the root", .certificateSignature(.vcek)) { $0.endorsement.signer = .root },
        Mutation("VLEK signed by the root", .certificateSignature(.vlek), vlek: true) { $0.endorsement.signer = .root },
        Mutation("root's signature changed", .certificateSignature(.ark)) { $0.ark.patches = [-1: 1] },
        Mutation("ASK's signature changed", .certificateSignature(.ask)) { $0.ask.patches = [-1: 0x80] },
        Mutation("VCEK's signature changed", .certificateSignature(.vcek)) { $0.endorsement.patches = [-100: 1] },
        Mutation("root with an elliptic key", .wrongKeyKind(.ark)) { $0.ark.key = .endorsement },
        Mutation("ASK with an elliptic key", .wrongKeyKind(.ask)) { $0.ask.key = .endorsement },
        Mutation("VCEK with an RSA key", .wrongKeyKind(.vcek)) { $0.endorsement.key = .intermediate },
        Mutation("root that is no authority", .notAuthority(.ark)) { $0.ark.isAuthority = false },
        Mutation("ASK that is no authority", .notAuthority(.ask)) { $0.ask.isAuthority = false },
        Mutation("ASK that may not sign certificates", .notAuthority(.ask)) { $0.ask.keyUsage = [1, 0x02] },
        Mutation("VCEK that is an authority", .unexpectedAuthority(.vcek)) { $0.endorsement.isAuthority = true },
    ]

    static let forms: [Mutation] = [
        Mutation("P-256", .certificate(.vcek, .unsupportedKey("curve 1.2.840.10045.3.1.7"))) {
            $0.endorsement.key = .p256
        },
        Mutation("version 1", .certificate(.ark, .unsupportedVersion)) { $0.ark.version = 0 },
        Mutation("PKCS 1", .certificate(.ask, .unsupportedSignatureAlgorithm("1.2.840.113549.1.1.12"))) {
            $0.ask.algorithm.identifier = "1.2.840.113549.1.1.12"
        },
        Mutation("SHA-256", .certificate(.ask, .unsupportedPSSParameters("hash"))) {
            $0.ask.algorithm.hash = "2.16.840.1.101.3.4.2.1"
        },
        Mutation("mask by SHA-256", .certificate(.vcek, .unsupportedPSSParameters("mask hash"))) {
            $0.endorsement.algorithm.maskHash = "2.16.840.1.101.3.4.2.1"
        },
        Mutation("salt of 20", .certificate(.ark, .unsupportedPSSParameters("salt length"))) {
            $0.ark.algorithm.salt = 20
        },
        Mutation("algorithms differ", .certificate(.ark, .signatureAlgorithmsDiffer)) {
            $0.ark.outerAlgorithm = TestAlgorithm(salt: 47)
        },
        Mutation("extension twice", .certificate(.vcek, .duplicateExtension(Scenario.arc + "3.1"))) {
            $0.endorsement.extensions.append((Scenario.arc + "3.1", DER.integer(3)))
        },
        Mutation("unknown critical extension", .certificate(.vcek, .unknownCriticalExtension("2.5.29.36"))) {
            $0.endorsement.criticalExtension = "2.5.29.36"
        },
        Mutation("level above 255", .certificate(.vcek, .malformed("extension \(Scenario.arc)3.3"))) {
            $0.setExtension("3.3", DER.integer(256))
        },
        Mutation("negative level", .certificate(.vcek, .malformed("extension \(Scenario.arc)3.3"))) {
            $0.setExtension("3.3", [0x02, 0x01, 0x88])
        },
        Mutation("hwID of 63 bytes", .certificate(.vcek, .malformed("extension \(Scenario.arc)4"))) {
            $0.setExtension("4", [UInt8](repeating: 1, count: 63))
        },
    ]

    static let trust: [Mutation] = [
        Mutation("a root that is not AMD's", .untrustedRoot("ARK-Milan")) { $0.trust = .amd },
        Mutation("a root that is not listed", .untrustedRoot("ARK-Milan")) {
            $0.trust = .keyDigests([[UInt8](repeating: 0, count: 48)])
        },
        Mutation("ASK revoked", .revoked(.ask)) { $0.revocations = TestRevocationList(serials: [7, 0x10001]) },
        Mutation("ASVK revoked", .revoked(.asvk), vlek: true) {
            $0.revocations = TestRevocationList(serials: [0x10001])
        },
        Mutation("root revoked", .revoked(.ark)) { $0.revocations = TestRevocationList(serials: [1]) },
        Mutation("list of another issuer", .revocationListIssuer(found: "ARK-Genoa")) {
            $0.revocations = TestRevocationList(issuer: "ARK-Genoa")
        },
        Mutation("list signed by another", .revocationListSignature) {
            $0.revocations = TestRevocationList(signer: .intermediate)
        },
        Mutation("list out of date", .revocationListDate) { $0.revocations = TestRevocationList(nextUpdate: past) },
        Mutation("list from the future", .revocationListDate) {
            $0.revocations = TestRevocationList(thisUpdate: future)
        },
    ]

    @Test("A root on the list is trusted, and a list that revokes others does no harm")
    func trusted() throws {
        var scenario = Scenario(.turin, .v4)
        let digest = RootTrust.keyDigest(of: try Certificate(der: try scenario.ark.der()))
        scenario.trust = .keyDigests([digest])
        scenario.revocations = TestRevocationList(issuer: "ARK-Turin", serials: [2, 0x10002])
        #expect(try scenario.judge().version == .v4)
    }

    @Test("hwID may stand in an OCTET STRING of its own, and a root may carry a marker after its product")
    func tolerated() throws {
        var scenario = Scenario(.genoa, .v2)
        scenario.setExtension("4", DER.octets(scenario.report.chipID))
        scenario.ark.subject = "ARK-Genoa-TEST"
        scenario.ark.issuer = "ARK-Genoa-TEST"
        scenario.ask.issuer = "ARK-Genoa-TEST"
        #expect(try scenario.judge().version == .v2)
    }
}
