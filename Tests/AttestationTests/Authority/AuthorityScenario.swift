import Attestation
import Crypto
import SNPArchitecture

/// A report and the test authority's certificates for the key that signed it.
struct AuthorityScenario {
    let authority: TestAuthority
    var scenario: Scenario
    let date = CertificateTime(year: 2026, month: 6, day: 1)
    static let provider = "provider.example"

    init(_ product: AttestationProduct, vlek: Bool = false) {
        authority = TestAuthority(product: product)
        scenario = Scenario(product, .v3, vlek: vlek)
    }

    var publicKey: [UInt8] { Array(TestKeys.endorsement.publicKey.rawRepresentation) }
    var tcb: TCBVersion { scenario.report.reportedTCB }
    var isVLEK: Bool { scenario.report.signingKey == .vlek }

    func template() throws(AuthorityError) -> CertificateTemplate {
        guard !isVLEK else {
            return try authority.vlekTemplate(publicKey: publicKey, tcb: tcb, serviceProvider: Self.provider)
        }
        return try authority.vcekTemplate(publicKey: publicKey, tcb: tcb, chipIdentifier: scenario.report.chipID)
    }
    func endorsement() throws(AuthorityError) -> Certificate {
        guard !isVLEK else {
            return try authority.vlek(publicKey: publicKey, tcb: tcb, serviceProvider: Self.provider)
        }
        return try authority.vcek(publicKey: publicKey, tcb: tcb, chipIdentifier: scenario.report.chipID)
    }

    func chain(
        _ endorsement: Certificate, trust: RootTrust = .given, revocations: RevocationList? = nil
    ) throws(AttestationError) -> EndorsementChain {
        let above = try AuthorityChain(
            ark: authority.ark, intermediate: isVLEK ? authority.asvk : authority.ask, trust: trust, at: date,
            revocations: revocations)
        return try EndorsementChain(endorsement: endorsement, under: above, at: date)
    }
}

extension [UInt8] {
    func contains(_ part: [UInt8]) -> Bool {
        count >= part.count && (0...count - part.count).contains { self[$0...].starts(with: part) }
    }
    var sha384: String {
        SHA384.hash(data: self).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 2 ? digits : "0" + digits
        }.joined()
    }
}
