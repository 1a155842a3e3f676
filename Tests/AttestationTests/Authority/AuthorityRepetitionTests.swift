import Attestation
import Crypto
import SNPArchitecture
import Testing

@Suite("The test authority makes the same bytes in every run")
struct AuthorityRepetitionTests {
    /// SHA-384 of each key's SubjectPublicKeyInfo, as Python computes it from the phrases and the steps.
    static let keyDigests = [
        "ARK-Milan":
            "8cd34d43b0f5ec94bb654b35b74eaa5172b8d495de3d40652a614df4cacc2d372fe68bf75a7b12a69735f3ef5a839a75",
        "SEV-Milan":
            "c55aef4a2e17a94af6e61225af70a36038dbeb1ba6aa2d315945e37be64b5b5c3c60d57df63feabdca0f20dda43c9cfc",
        "SEV-VLEK-Milan":
            "986dd3e80351cf6ef8c23675d40a9d27183b6e0cbad1c008969835d7b62167bc5619b2f51948a684b89edec99ee52e86",
        "ARK-Genoa":
            "f502bed14b6a4f2fc6d4b74792073a28eceee9a8bef792a99f1c8126d5e8f6b22a9d91f4f014248412ef9c923a7a6450",
        "SEV-Genoa":
            "23919c91aaba061e086fa94842cc6b38bbbe950951cd47d89ae07a74afd3709899ae3156e095ee09997ffdaad912fe6e",
        "SEV-VLEK-Genoa":
            "44c08c6f3238b2ec22858959caf81701146d7069661ee8a40263c56f1f26eec960a7efc95e11d1dde27abe48bea061c9",
        "ARK-Turin":
            "42f950dde821175403d16dacfc6003cee734dee9c1588625c53a5f4fbc8c7e5bf360468a062298a4a2bb1daf2ad87d84",
        "SEV-Turin":
            "dd3f3a7dc447d2abb5564a3505443962357ae31c4513f894be492588c3e37e4544a8f97774806ffaed6137fc3c8f91a7",
        "SEV-VLEK-Turin":
            "77a0d0291c938782c35aba16217e1b8b586128b0349d9de1482ff91075c569d1864ae4ea049861b3f2f3950b39e13482",
    ]
    /// SHA-384 of all that `everything(_:)` lists, as it was when this was written.
    static let digests: [AttestationProduct: String] = [
        .milan:
            "60825e62614f1beea2725703d11d6ccd3d232c696d10c4519d74ac431348eb910f7f6f8e47f698eb5131da87e825ed0f",
        .genoa:
            "4946adf3ea7537f97c2b37697e03810ea91034497434ccde774290ed8c64a1543581238b01f5f24a58675654500b6985",
        .turin:
            "02afb16cd32d1c03a50312a147882ed6435bc81ef17caae0b36a752fb1aac91029b3e6096750092e03a0900177683e36",
    ]

    /// All that an authority makes, for a key that is always the same.
    static func everything(_ product: AttestationProduct) throws -> [UInt8] {
        let authority = TestAuthority(product: product)
        let scalar = [UInt8](repeating: 0, count: 47) + [2]
        let key = Array(try P384.Signing.PrivateKey(rawRepresentation: scalar).publicKey.rawRepresentation)
        let tcb = TCBVersion(rawValue: 0xd3 << 56 | 0x0201)
        let chip = [UInt8](repeating: 9, count: product.chipIDByteCount)
        let vcek = try authority.vcek(publicKey: key, tcb: tcb, chipIdentifier: chip)
        let vlek = try authority.vlek(publicKey: key, tcb: tcb, serviceProvider: "provider")
        let list = try authority.revocationList(
            revoking: [authority.asvk], at: CertificateTime(year: 2026, month: 5, day: 1))
        return [authority.ark, authority.ask, authority.asvk, vcek, vlek].flatMap(\.der) + list.der
    }

    @Test("Certificates and lists have not changed, and do not change", arguments: AttestationProduct.allCases)
    func certificates(_ product: AttestationProduct) throws {
        let made = try Self.everything(product)
        #expect(try Self.everything(product) == made)
        #expect(made.sha384 == Self.digests[product])
    }

    @Test("The keys are those that the phrases and steps say", arguments: AttestationProduct.allCases)
    func keys(_ product: AttestationProduct) {
        let authority = TestAuthority(product: product)
        let line = product.rawValue
        #expect(authority.ark.publicKeyInfo.sha384 == Self.keyDigests["ARK-\(line)"])
        #expect(authority.ask.publicKeyInfo.sha384 == Self.keyDigests["SEV-\(line)"])
        #expect(authority.asvk.publicKeyInfo.sha384 == Self.keyDigests["SEV-VLEK-\(line)"])
    }
}
