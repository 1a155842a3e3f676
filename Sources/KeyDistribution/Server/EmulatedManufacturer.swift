// The manufacturer of emulated chips behind a server: it knows the chips' keys, and certifies them with the test authority.

public import Attestation
public import SNPArchitecture

/// Gives out the certificates of emulated chips.
public struct EmulatedManufacturer: Sendable {
    /// The public key of a chip of a product at a TCB, 96 bytes; nil if there is no such chip. The identifier has 64 bytes.
    public typealias PublicKey = @Sendable (_ chip: [UInt8], TCBVersion, AttestationProduct) -> [UInt8]?

    private let publicKey: PublicKey
    private let now: @Sendable () -> CertificateTime
    private let revoked: [CertificateRole]

    /// Makes a manufacturer.
    ///
    /// - Parameters:
    ///   - revoked: The authorities that its revocation lists name.
    ///   - now: The date of its revocation lists.
    ///   - publicKey: Knows the chips.
    public init(
        revoking revoked: [CertificateRole] = [], now: @escaping @Sendable () -> CertificateTime,
        publicKey: @escaping PublicKey
    ) {
        self.revoked = revoked
        self.now = now
        self.publicKey = publicKey
    }

    /// The document that a request asks for; nil if there is none.
    ///
    /// - Deviates: AMD's lists under `/vcek` and `/vlek` are made apart; here both are the root's one list
    public func document(_ request: KeyDistributionRequest) -> [UInt8]? {
        switch request {
        case .chain(let kind, let product):
            let authority = TestAuthority(product: product)
            let intermediate = kind == .vcek ? authority.ask : authority.asvk
            return Array(Self.lines(intermediate.pem).utf8) + Array(Self.lines(authority.ark.pem).utf8)
        case .revocationList(_, let product):
            let authority = TestAuthority(product: product)
            let certificates = revoked.compactMap { role in
                switch role {
                case .ark: authority.ark
                case .ask: authority.ask
                case .asvk: authority.asvk
                case .vcek, .vlek: nil
                }
            }
            // A day old, so that a verifier whose clock is behind, or that looked at it before it asked, accepts it.
            let issue = CertificateTime(secondsSince1970: now().secondsSince1970 - 86_400)
            return try? authority.revocationList(revoking: certificates, at: issue).der
        case .endorsement(let product, let chip, let tcb):
            guard let key = publicKey(chip, tcb, product) else { return nil }
            return try? TestAuthority(product: product).vcek(publicKey: key, tcb: tcb, chipIdentifier: chip).der
        }
    }

    /// A PEM block that ends with a line break.
    private static func lines(_ pem: String) -> String { pem.hasSuffix("\n") ? pem : pem + "\n" }
}
