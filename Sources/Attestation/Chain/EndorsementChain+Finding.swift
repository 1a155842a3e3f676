// Finding a chain among certificates in any order, as a folder or a certificate table gives them.

extension EndorsementChain {
    /// Picks a VCEK or VLEK, its issuer and that one's issuer by name, and verifies them.
    ///
    /// A VCEK goes before a VLEK if both are there, unless `preferred` says otherwise.
    ///
    /// - Throws: in check order: `.missingCertificate` of the VCEK, the ASK or ASVK, the ARK; then what the initializers
    ///   of `AuthorityChain` and `EndorsementChain` throw
    public init(
        finding certificates: [Certificate], preferred: CertificateRole = .vcek, trust: RootTrust,
        at date: CertificateTime, revocations: RevocationList? = nil
    ) throws(AttestationError) {
        func first(_ prefix: String) -> Certificate? {
            certificates.first { $0.subject.commonName.hasPrefix(prefix) }
        }
        let vcek = first("SEV-VCEK")
        let vlek = certificates.first { $0.subject.commonName.hasPrefix("SEV-VLEK") && $0.keyKind == .p384 }
        guard let endorsement = preferred == .vlek ? vlek ?? vcek : vcek ?? vlek else {
            throw .missingCertificate(preferred)
        }
        let isVLEK = endorsement == vlek
        guard let intermediate = certificates.first(where: { $0.subject == endorsement.issuer }) else {
            throw .missingCertificate(isVLEK ? .asvk : .ask)
        }
        guard let ark = certificates.first(where: { $0.subject == intermediate.issuer }) else {
            throw .missingCertificate(.ark)
        }
        let authority = try AuthorityChain(
            ark: ark, intermediate: intermediate, trust: trust, at: date, revocations: revocations)
        try self.init(endorsement: endorsement, under: authority, at: date)
    }
}
