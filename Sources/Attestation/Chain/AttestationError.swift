// Why a chain of certificates or a report is refused. One case per cause, so that no two are taken for each other.

public import SNPArchitecture

/// The places in a chain of certificates.
public enum CertificateRole: String, CaseIterable, Sendable {
    /// The root: AMD root key.
    case ark = "ARK"
    /// AMD SEV key, which issues VCEK certificates.
    case ask = "ASK"
    /// AMD SEV VLEK key, which issues VLEK certificates.
    case asvk = "ASVK"
    /// Versioned chip endorsement key.
    case vcek = "VCEK"
    /// Versioned loaded endorsement key.
    case vlek = "VLEK"
}

/// The parts of a TCB version.
public enum TCBPart: String, CaseIterable, Sendable {
    /// First mutable code; Turin only.
    case fmc = "FMC"
    /// Boot loader.
    case bootLoader = "boot loader"
    /// Trusted OS.
    case tee = "TEE"
    /// SNP firmware.
    case snp = "SNP firmware"
    /// Microcode.
    case microcode = "microcode"

    /// The part's level in a TCB version taken apart.
    public func level(in components: TCBComponents) -> UInt8 {
        switch self {
        case .fmc: components.fmc
        case .bootLoader: components.bootLoader
        case .tee: components.tee
        case .snp: components.snp
        case .microcode: components.microcode
        }
    }
}

/// Why a chain or a report is refused.
public enum AttestationError: Error, Hashable, Sendable {
    /// The report cannot be read.
    case report(ReportFormatError)
    /// The certificate in this place cannot be read.
    case certificate(CertificateRole, CertificateError)
    /// No certificate for this place is there.
    case missingCertificate(CertificateRole)
    /// The subject's common name is not one that this place allows.
    case wrongSubject(CertificateRole, found: String)
    /// The key is not of the kind that this place asks for.
    case wrongKeyKind(CertificateRole)
    /// The certificate may not issue others, and must in this place.
    case notAuthority(CertificateRole)
    /// The certificate may issue others, and must not in this place.
    case unexpectedAuthority(CertificateRole)
    /// The issuer named is not the subject of the certificate above.
    case wrongIssuer(CertificateRole, found: String, expected: String)
    /// The certificate's product is not that of the root.
    case chainProduct(CertificateRole, found: String, expected: AttestationProduct)
    /// The date lies before the certificate's first.
    case notYetValid(CertificateRole, from: CertificateTime)
    /// The date lies after the certificate's last.
    case expired(CertificateRole, since: CertificateTime)
    /// The key above did not sign the certificate.
    case certificateSignature(CertificateRole)
    /// The root is whole, and none of those trusted.
    case untrustedRoot(String)
    /// The revocation list was not issued by the root.
    case revocationListIssuer(found: String)
    /// The root did not sign the revocation list.
    case revocationListSignature
    /// The revocation list is not of today.
    case revocationListDate
    /// The revocation list names the certificate.
    case revoked(CertificateRole)
    /// The certificate lacks an extension.
    case missingExtension(CertificateRole, String)
    /// The report says that nobody signed it.
    case unsigned
    /// The report names an algorithm other than ECDSA P-384 with SHA-384.
    case signatureAlgorithm(UInt32)
    /// The report was signed by a key of another kind than the certificate's.
    case signingKey(report: ReportSigningKey, certificate: CertificateRole)
    /// r or s is not a number that a signature can have.
    case signatureRange
    /// The certificate's key did not sign the report.
    case reportSignature
    /// The report's processor is none that is known.
    case unknownProcessor(ReportedProcessor)
    /// The report's processor is of another product than the chain.
    case reportProduct(report: AttestationProduct, chain: AttestationProduct)
    /// The reported TCB has bits set that have no meaning for the product.
    case reportedTCBReserved(UInt64)
    /// A part of the reported TCB is not that of the certificate.
    case reportedTCB(TCBPart, report: UInt8, certificate: UInt8)
    /// The host masked the chip's id, so that it cannot be compared.
    case chipIDMasked
    /// The chip's id is not that of the certificate.
    case chipID
    /// The policy refuses the report.
    case policy(PolicyRefusal)
}
