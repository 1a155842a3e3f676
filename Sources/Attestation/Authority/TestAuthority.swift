// The manufacturer of emulated chips. AMD's private keys stay with AMD, so certificates for emulated chips come from
// here: in AMD's form, with TEST in every name, and with keys that are public on purpose (see AuthorityKey).

public import SNPArchitecture

/// The root of trust of emulated chips: a root key, its two intermediates, and the certificates they issue.
///
/// Everything it makes is the same in every run, byte for byte.
///
/// - Spec: 57230, "Certificates"; RFC 5280 section 4.1; RFC 4055 section 3.1
/// - Deviates: the keys are public, the organisation is not AMD, and the CRL's address does not exist; certificates of
///   chips hold for 25 years, as the authorities' do, where AMD's hold for 7; their serial numbers are hashes, and AMD's
///   are 0
public struct TestAuthority: Sendable {
    /// The product line whose chips it makes.
    public let product: AttestationProduct
    /// The root, signed by itself.
    public let ark: Certificate
    /// The issuer of VCEK certificates.
    public let ask: Certificate
    /// The issuer of VLEK certificates.
    public let asvk: Certificate
    let keys: [CertificateRole: AuthorityKey]

    private static let milan = Self(making: .milan)
    private static let genoa = Self(making: .genoa)
    private static let turin = Self(making: .turin)

    /// Opens the authority of a product line. The first time in a process its keys are computed.
    public init(product: AttestationProduct) {
        switch product {
        case .milan: self = Self.milan
        case .genoa: self = Self.genoa
        case .turin: self = Self.turin
        }
    }

    private init(making product: AttestationProduct) {
        let line = product.rawValue
        let keys: [CertificateRole: AuthorityKey] = [
            .ark: AuthorityKey(name: "ARK-\(line)"), .ask: AuthorityKey(name: "SEV-\(line)"),
            .asvk: AuthorityKey(name: "SEV-VLEK-\(line)"),
        ]
        func make(_ role: CertificateRole) -> Certificate {
            guard let root = keys[.ark], let key = keys[role] else { preconditionFailure("no key of \(role)") }
            let template = CertificateTemplate(
                role, commonName: Self.commonName(role, product), publicKeyInfo: key.publicKeyInfo)
            let frame = CertificateFrame(
                serialNumber: Self.serialNumber(role, product), issuerName: Self.commonName(.ark, product),
                extensions: Self.authorityExtensions(role, product, key, issuer: root))
            do throws(AuthorityError) {
                return try Self.certificate(template, frame, by: root)
            } catch { preconditionFailure("the authority's own certificate: \(error)") }
        }
        self.product = product
        self.keys = keys
        ark = make(.ark)
        ask = make(.ask)
        asvk = make(.asvk)
    }

    /// Signs a template.
    static func certificate(
        _ template: CertificateTemplate, _ frame: CertificateFrame, by key: AuthorityKey
    ) throws(AuthorityError) -> Certificate {
        let der = Self.signed(try template.signedPart(frame), by: key)
        do throws(CertificateError) { return try Certificate(der: der) } catch { throw .unreadable(error) }
    }

    /// A certificate or a list: the signed part, the algorithm and the signature.
    static func signed(_ part: [UInt8], by key: AuthorityKey) -> [UInt8] {
        DERWriter.sequence(part, algorithm, DERWriter.bits(key.signature(of: part)))
    }
}
