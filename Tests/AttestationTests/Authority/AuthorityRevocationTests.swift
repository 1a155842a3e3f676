import Attestation
import SNPArchitecture
import Testing

@Suite("The test authority's revocation lists")
struct AuthorityRevocationTests {
    static let date = CertificateTime(year: 2026, month: 5, day: 1, hour: 12)

    @Test("A revoked intermediate is refused, the other one is not", arguments: AttestationProduct.allCases)
    func honoured(_ product: AttestationProduct) throws {
        let authority = TestAuthority(product: product)
        for (revoked, role) in [(authority.ask, CertificateRole.ask), (authority.asvk, .asvk)] {
            let list = try authority.revocationList(revoking: [revoked], at: Self.date)
            #expect(list.revoked == [revoked.serialNumber])
            let scenario = AuthorityScenario(product, vlek: role == .asvk)
            let endorsement = try scenario.endorsement()
            #expect(throws: AttestationError.revoked(role)) { try scenario.chain(endorsement, revocations: list) }
            let other = AuthorityScenario(product, vlek: role == .ask)
            let chain = try other.chain(try other.endorsement(), revocations: list)
            #expect(chain.role == (role == .ask ? .vlek : .vcek))
        }
    }

    @Test("A list of nothing refuses nothing, and one with the root refuses all")
    func extremes() throws {
        let scenario = AuthorityScenario(.genoa)
        let endorsement = try scenario.endorsement()
        let none = try scenario.authority.revocationList(revoking: [], at: Self.date)
        #expect(none.revoked.isEmpty)
        #expect(try scenario.chain(endorsement, revocations: none).product == .genoa)
        let ark = scenario.authority.ark
        let all = try scenario.authority.revocationList(revoking: [ark, scenario.authority.ask, ark], at: Self.date)
        #expect(all.revoked.count == 2)
        #expect(throws: AttestationError.revoked(.ark)) { try scenario.chain(endorsement, revocations: all) }
    }

    @Test("A list decodes from its own bytes, is the same each time, and holds for a year")
    func bytes() throws {
        let authority = TestAuthority(product: .turin)
        let list = try authority.revocationList(revoking: [authority.ask], at: Self.date)
        #expect(try RevocationList(der: list.der) == list)
        #expect(try authority.revocationList(revoking: [authority.ask], at: Self.date).der == list.der)
        #expect(list.issuer == authority.ark.subject)
        #expect(list.thisUpdate == Self.date)
        #expect(list.nextUpdate == CertificateTime(year: 2027, month: 5, day: 1, hour: 12))
    }

    @Test("A list of another product, too old or too new is refused")
    func refused() throws {
        let scenario = AuthorityScenario(.milan)
        let endorsement = try scenario.endorsement()
        let other = try TestAuthority(product: .genoa).revocationList(revoking: [], at: Self.date)
        #expect(throws: AttestationError.revocationListIssuer(found: "ARK-Genoa-TEST")) {
            try scenario.chain(endorsement, revocations: other)
        }
        for date in [CertificateTime(year: 2025, month: 1, day: 1), CertificateTime(year: 2026, month: 6, day: 2)] {
            let list = try scenario.authority.revocationList(revoking: [], at: date)
            #expect(throws: AttestationError.revocationListDate) {
                try scenario.chain(endorsement, revocations: list)
            }
        }
    }

    @Test("Only what the root issued can be revoked, and only at a moment that can be written")
    func misuse() throws {
        let scenario = AuthorityScenario(.milan)
        let authority = scenario.authority
        let vcek = try scenario.endorsement()
        #expect(throws: AuthorityError.notIssuedByRoot("SEV-VCEK")) {
            try authority.revocationList(revoking: [authority.ask, vcek], at: Self.date)
        }
        #expect(throws: AuthorityError.notIssuedByRoot("SEV-Genoa-TEST")) {
            try authority.revocationList(revoking: [TestAuthority(product: .genoa).ask], at: Self.date)
        }
        for time in [CertificateTime(secondsSince1970: .min), CertificateTime(secondsSince1970: .max)] {
            #expect(throws: AuthorityError.unwritableTime(time)) {
                try authority.revocationList(revoking: [], at: time)
            }
        }
        let last = CertificateTime(year: 9999, month: 6, day: 1)
        let end = CertificateTime(secondsSince1970: last.secondsSince1970 + 365 * 86_400)
        #expect(throws: AuthorityError.unwritableTime(end)) { try authority.revocationList(revoking: [], at: last) }
    }
}
