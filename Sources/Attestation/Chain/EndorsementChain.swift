// The whole chain down to the key that signs reports. Made once, it judges any number of reports.

internal import Crypto
public import SNPArchitecture

/// A chain that has been verified, from the root to a VCEK or VLEK.
public struct EndorsementChain: Sendable {
    /// The certificates above.
    public let authority: AuthorityChain
    /// The VCEK or VLEK certificate.
    public let endorsement: Certificate
    /// Which of the two it is.
    public let role: CertificateRole
    /// The product line.
    public var product: AttestationProduct { authority.product }
    let key: P384.Signing.PublicKey

    /// Verifies an endorsement certificate under a verified root and intermediate.
    ///
    /// - Throws: in check order: `.wrongSubject`, `.wrongKeyKind`, `.unexpectedAuthority`, `.wrongIssuer`, `.notYetValid`,
    ///   `.expired`, `.certificateSignature`, `.missingExtension`, `.chainProduct`
    public init(
        endorsement: Certificate, under authority: AuthorityChain, at date: CertificateTime
    ) throws(AttestationError) {
        let role: CertificateRole = authority.intermediateRole == .asvk ? .vlek : .vcek
        let name = endorsement.subject.commonName
        guard name.hasPrefix("SEV-\(role.rawValue)") else { throw .wrongSubject(role, found: name) }
        guard endorsement.keyKind == .p384 else { throw .wrongKeyKind(role) }
        guard !endorsement.isAuthority else { throw .unexpectedAuthority(role) }
        try endorsement.checkIssue(as: role, by: authority.intermediate, at: date)
        guard let productName = endorsement.endorsement.productName else {
            throw .missingExtension(role, "productName")
        }
        guard endorsement.endorsement.product == authority.product else {
            throw .chainProduct(role, found: productName, expected: authority.product)
        }
        guard let key = try? P384.Signing.PublicKey(derRepresentation: endorsement.publicKeyInfo) else {
            throw .wrongKeyKind(role)
        }
        self.authority = authority
        self.endorsement = endorsement
        self.role = role
        self.key = key
    }
}
