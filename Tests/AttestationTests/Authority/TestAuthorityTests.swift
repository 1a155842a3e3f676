import Attestation
import SNPArchitecture
import Testing

@Suite("The test authority")
struct TestAuthorityTests {
    static let roles: [(AttestationProduct, vlek: Bool)] = AttestationProduct.allCases.flatMap {
        [($0, vlek: false), ($0, vlek: true)]
    }

    @Test("Its chains verify under its own root, and so does a report", arguments: roles)
    func verifies(_ product: AttestationProduct, _ vlek: Bool) throws {
        let scenario = AuthorityScenario(product, vlek: vlek)
        let root = RootTrust.keyDigests([RootTrust.keyDigest(of: scenario.authority.ark)])
        let chain = try scenario.chain(try scenario.endorsement(), trust: root)
        #expect(chain.product == product)
        #expect(chain.role == (vlek ? .vlek : .vcek))
        let report = try chain.verify(report: try scenario.scenario.reportBytes())
        #expect(report.reportedTCB == scenario.tcb)
    }

    @Test("A verifier that trusts AMD, or another product's root, refuses them", arguments: AttestationProduct.allCases)
    func untrusted(_ product: AttestationProduct) throws {
        let scenario = AuthorityScenario(product)
        let endorsement = try scenario.endorsement()
        let cause = AttestationError.untrustedRoot("ARK-\(product.rawValue)-TEST")
        #expect(throws: cause) { try scenario.chain(endorsement, trust: .amd) }
        let others = AttestationProduct.allCases.filter { $0 != product }.map {
            RootTrust.keyDigest(of: TestAuthority(product: $0).ark)
        }
        #expect(throws: cause) { try scenario.chain(endorsement, trust: .keyDigests(Set(others))) }
    }

    @Test("Every certificate shows that it is a test, and not AMD's", arguments: AttestationProduct.allCases)
    func marked(_ product: AttestationProduct) throws {
        let scenario = AuthorityScenario(product)
        let authority = scenario.authority
        let authorities = [authority.ark, authority.ask, authority.asvk]
        let vlek = try AuthorityScenario(product, vlek: true).endorsement()
        for certificate in authorities + [try scenario.endorsement(), vlek] {
            for name in [certificate.subject, certificate.issuer] {
                #expect(name.der.contains(Array("Rampart TEST, not AMD".utf8)))
            }
            #expect(certificate.issuer.commonName.hasSuffix("-TEST"))
            #expect(!certificate.der.contains(Array("amd.com".utf8)))
        }
        let line = product.rawValue
        #expect(
            authorities.map(\.subject.commonName) == ["ARK-\(line)-TEST", "SEV-\(line)-TEST", "SEV-VLEK-\(line)-TEST"])
        #expect(try scenario.endorsement().subject.commonName == "SEV-VCEK")
        #expect(vlek.subject.commonName == "SEV-VLEK")
    }

    @Test("A certificate says the TCB, the chip or the provider, and the product")
    func extensions() throws {
        let chip = (1...8).map { UInt8($0) }
        let tcb = TCBVersion(
            TCBComponents(fmc: 1, bootLoader: 0x7f, tee: 0x80, snp: 0xff, microcode: 5), layout: .turin)
        let key = AuthorityScenario(.turin).publicKey
        let authority = TestAuthority(product: .turin)
        let vcek = try authority.vcek(publicKey: key, tcb: tcb, chipIdentifier: chip).endorsement
        #expect(vcek.patchLevels == [9: 1, 1: 0x7f, 2: 0x80, 3: 0xff, 4: 0, 5: 0, 6: 0, 7: 0, 8: 5])
        #expect(vcek.hardwareID == chip && vcek.serviceProvider == nil && vcek.productName == "Turin-B1")
        let padded = chip + [UInt8](repeating: 0, count: 56)
        #expect(try authority.vcek(publicKey: key, tcb: tcb, chipIdentifier: padded).endorsement == vcek)
        let vlek = try authority.vlek(publicKey: key, tcb: tcb, serviceProvider: "p").endorsement
        #expect(vlek.patchLevels == vcek.patchLevels)
        #expect(vlek.hardwareID == nil && vlek.serviceProvider == "p" && vlek.productName == "Turin")
        let milan = try AuthorityScenario(.milan).endorsement().endorsement
        #expect(milan.patchLevels == [1: 3, 2: 1, 3: 8, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0xd3])
        #expect(milan.structVersion == 0 && milan.productName == "Milan-B0")
    }

    @Test("A certificate is found in a folder of all of them", arguments: roles)
    func found(_ product: AttestationProduct, _ vlek: Bool) throws {
        let scenario = AuthorityScenario(product, vlek: vlek)
        let authority = scenario.authority
        let all = try [authority.asvk, authority.ask, authority.ark, scenario.endorsement()]
        let text = all.map(\.pem).joined(separator: "\n")
        let chain = try EndorsementChain(
            finding: try Certificate.all(pem: text), preferred: vlek ? .vlek : .vcek, trust: .given, at: scenario.date)
        #expect(chain.role == (vlek ? .vlek : .vcek))
        #expect(chain.endorsement == all[3])
    }

    @Test("Serial numbers follow from contents, are positive, and differ when contents do")
    func serialNumbers() throws {
        var scenario = AuthorityScenario(.genoa)
        let first = try scenario.endorsement().serialNumber
        #expect(try scenario.endorsement().serialNumber == first)
        scenario.scenario.report.chipID[63] ^= 1
        #expect(try scenario.endorsement().serialNumber != first)
        #expect(first.count == 16 && first[0] & 0xc0 == 0x40)
        let authority = scenario.authority
        #expect(authority.ark.serialNumber == [2, 0, 0] && authority.ask.serialNumber == [2, 0, 1])
        #expect(authority.asvk.serialNumber == [2, 0, 2])
    }
}
