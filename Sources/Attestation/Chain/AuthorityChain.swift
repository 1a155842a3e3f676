// The upper two certificates: a root that signs itself, and the intermediate that issues endorsement certificates.

public import SNPArchitecture

/// A root and an intermediate that have been verified.
public struct AuthorityChain: Hashable, Sendable {
    /// The root.
    public let ark: Certificate
    /// The ASK or ASVK.
    public let intermediate: Certificate
    /// Which of the two the intermediate is.
    public let intermediateRole: CertificateRole
    /// The product line.
    public let product: AttestationProduct

    /// Verifies a root and an intermediate at a date.
    ///
    /// - Throws: in check order, first for the ARK and then for the ASK or ASVK: `.wrongSubject`, `.chainProduct`,
    ///   `.wrongKeyKind`, `.notAuthority`, `.wrongIssuer`, `.notYetValid`, `.expired`, `.certificateSignature`; after the
    ///   ARK's `.untrustedRoot`; last `.revocationListIssuer`, `.revocationListSignature`, `.revocationListDate` and
    ///   `.revoked`
    public init(
        ark: Certificate, intermediate: Certificate, trust: RootTrust, at date: CertificateTime,
        revocations: RevocationList? = nil
    ) throws(AttestationError) {
        guard let product = Self.product(of: ark, after: "ARK-") else {
            throw .wrongSubject(.ark, found: ark.subject.commonName)
        }
        try ark.checkAuthority(as: .ark, under: ark, at: date)
        guard trust.accepts(ark) else { throw .untrustedRoot(ark.subject.commonName) }
        let name = intermediate.subject.commonName
        let role: CertificateRole = name.hasPrefix("SEV-VLEK-") ? .asvk : .ask
        guard let line = Self.product(of: intermediate, after: role == .asvk ? "SEV-VLEK-" : "SEV-") else {
            throw .wrongSubject(.ask, found: name)
        }
        guard line == product else { throw .chainProduct(role, found: line.rawValue, expected: product) }
        try intermediate.checkAuthority(as: role, under: ark, at: date)
        if let revocations { try revocations.check([(.ark, ark), (role, intermediate)], issuer: ark, at: date) }
        self.ark = ark
        self.intermediate = intermediate
        intermediateRole = role
        self.product = product
    }

    private static func product(of certificate: Certificate, after prefix: String) -> AttestationProduct? {
        let name = certificate.subject.commonName
        guard name.hasPrefix(prefix) else { return nil }
        return AttestationProduct(certificateName: String(name.dropFirst(prefix.count)))
    }
}

extension Certificate {
    /// The checks that ARK, ASK and ASVK have in common, in order.
    fileprivate func checkAuthority(
        as role: CertificateRole, under authority: Certificate, at date: CertificateTime
    ) throws(AttestationError) {
        guard keyKind == .rsa4096 else { throw .wrongKeyKind(role) }
        guard isAuthority else { throw .notAuthority(role) }
        try checkIssue(as: role, by: authority, at: date)
    }

    /// Name of the issuer, dates, signature, in order.
    func checkIssue(
        as role: CertificateRole, by authority: Certificate, at date: CertificateTime
    ) throws(AttestationError) {
        guard issuer == authority.subject else {
            throw .wrongIssuer(role, found: issuer.commonName, expected: authority.subject.commonName)
        }
        guard date >= notBefore else { throw .notYetValid(role, from: notBefore) }
        guard date <= notAfter else { throw .expired(role, since: notAfter) }
        guard isSigned(by: authority) else { throw .certificateSignature(role) }
    }
}

extension RevocationList {
    fileprivate func check(
        _ certificates: [(CertificateRole, Certificate)], issuer authority: Certificate, at date: CertificateTime
    ) throws(AttestationError) {
        guard issuer == authority.subject else { throw .revocationListIssuer(found: issuer.commonName) }
        guard signature.isValid(publicKey: authority.publicKeyInfo) else { throw .revocationListSignature }
        guard date >= thisUpdate else { throw .revocationListDate }
        if let nextUpdate, date > nextUpdate { throw .revocationListDate }
        for (role, certificate) in certificates where revoked.contains(certificate.serialNumber) {
            throw .revoked(role)
        }
    }
}
