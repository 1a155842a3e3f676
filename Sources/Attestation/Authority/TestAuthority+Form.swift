// The parts of the authority's certificates that follow from the role: names, serial numbers, standard extensions.

internal import SNPArchitecture

extension TestAuthority {
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, a salt of 48 bytes and trailer 1, all written out as AMD does.
    static let algorithm: [UInt8] = {
        let hash = DERWriter.sequence(DERWriter.identifier([2, 16, 840, 1, 101, 3, 4, 2, 2]), DERWriter.null)
        let mask = DERWriter.sequence(DERWriter.identifier([1, 2, 840, 113549, 1, 1, 8]), hash)
        return DERWriter.sequence(
            DERWriter.identifier([1, 2, 840, 113549, 1, 1, 10]),
            DERWriter.sequence(
                DERWriter.tagged(0, hash), DERWriter.tagged(1, mask), DERWriter.tagged(2, DERWriter.integer(48)),
                DERWriter.tagged(3, DERWriter.integer(1))))
    }()

    /// A name with AMD's attributes in AMD's order. The organisation says whose certificate this is not.
    static func name(_ commonName: String) -> [UInt8] {
        func attribute(_ number: UInt32, _ value: [UInt8]) -> [UInt8] {
            DERWriter.set(DERWriter.sequence(DERWriter.identifier([2, 5, 4, number]), value))
        }
        return DERWriter.sequence(
            attribute(11, DERWriter.utf8("Engineering")), attribute(6, DERWriter.printable("US")),
            attribute(7, DERWriter.utf8("Santa Clara")), attribute(8, DERWriter.utf8("CA")),
            attribute(10, DERWriter.utf8("Rampart TEST, not AMD")), attribute(3, DERWriter.utf8(commonName)))
    }

    /// CN of a role. Those of a VCEK and a VLEK are AMD's own.
    static func commonName(_ role: CertificateRole, _ product: AttestationProduct) -> String {
        switch role {
        case .ark: "ARK-\(product.rawValue)-TEST"
        case .ask: "SEV-\(product.rawValue)-TEST"
        case .asvk: "SEV-VLEK-\(product.rawValue)-TEST"
        case .vcek: "SEV-VCEK"
        case .vlek: "SEV-VLEK"
        }
    }

    /// The product's number in the upper two bytes, the role's in the lower two; nil for what depends on contents.
    ///
    /// - Deviates: that AMD numbers the ASVK in the same way is unconfirmed
    static func serialNumber(_ role: CertificateRole, _ product: AttestationProduct) -> [UInt8]? {
        let line: UInt8 =
            switch product {
            case .milan: 1
            case .genoa: 2
            case .turin: 3
            }
        switch role {
        case .ark: return [line, 0, 0]
        case .ask: return [line, 0, 1]
        case .asvk: return [line, 0, 2]
        case .vcek, .vlek: return nil
        }
    }

    /// The extensions of a certificate that issues others.
    static func authorityExtensions(
        _ role: CertificateRole, _ product: AttestationProduct, _ key: AuthorityKey, issuer: AuthorityKey
    ) -> [UInt8] {
        func extend(_ number: UInt32, critical: Bool = false, _ value: [UInt8]) -> [UInt8] {
            DERWriter.sequence(
                DERWriter.identifier([2, 5, 29, number]), critical ? DERWriter.yes : [], DERWriter.octets(value))
        }
        let isRoot = role == .ark
        let path = role == .asvk ? "vlek" : "vcek"
        let address = "https://kds.rampart.invalid/\(path)/v1/\(product.rawValue)/crl"
        let location = DERWriter.tagged(0, DERWriter.tagged(0, DERWriter.value(0x86, Array(address.utf8))))
        let parts = [
            extend(14, DERWriter.octets(key.identifier)),
            isRoot ? [] : extend(35, authorityKeyIdentifier(issuer)),
            extend(19, critical: true, DERWriter.sequence(DERWriter.yes, isRoot ? [] : DERWriter.integer(0))),
            // KeyUsage: keyCertSign is bit 5, cRLSign bit 6.
            extend(15, critical: true, isRoot ? DERWriter.bits([0x06], unused: 1) : DERWriter.bits([0x04], unused: 2)),
            extend(31, DERWriter.sequence(DERWriter.sequence(location))),
        ]
        return Array(parts.joined())
    }

    /// The value of an AuthorityKeyIdentifier.
    static func authorityKeyIdentifier(_ issuer: AuthorityKey) -> [UInt8] {
        DERWriter.sequence(DERWriter.value(0x80, issuer.identifier))
    }
}
