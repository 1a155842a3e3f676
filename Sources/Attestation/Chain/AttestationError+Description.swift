// The causes of refusal in words.

internal import SNPArchitecture

extension AttestationError: CustomStringConvertible {
    /// The cause in words.
    public var description: String {
        switch self {
        case .report(let error): error.description
        case .certificate(let role, let error): "\(role.rawValue) certificate: \(error)"
        case .revocationListIssuer, .revocationListSignature, .revocationListDate: listDescription
        case .unsigned, .signatureAlgorithm, .signingKey, .signatureRange, .reportSignature, .unknownProcessor,
            .reportProduct, .reportedTCBReserved, .reportedTCB, .chipIDMasked, .chipID:
            reportDescription
        case .policy(let refusal): refusal.description
        default: chainDescription
        }
    }

    private var listDescription: String {
        switch self {
        case .revocationListIssuer(let found): "the revocation list is issued by \"\(found)\", not by the ARK"
        case .revocationListSignature: "the ARK did not sign the revocation list"
        default: "the revocation list is not valid at this date"
        }
    }

    private var chainDescription: String {
        switch self {
        case .missingCertificate(let role): "there is no \(role.rawValue) certificate that fits"
        case .wrongSubject(let role, let found): "\"\(found)\" is not the name of an \(role.rawValue) certificate"
        case .wrongKeyKind(let role): "the \(role.rawValue) certificate's key is of the wrong kind"
        case .notAuthority(let role): "the \(role.rawValue) certificate may not issue certificates"
        case .unexpectedAuthority(let role): "the \(role.rawValue) certificate may issue certificates, and must not"
        case .wrongIssuer(let role, let found, let expected):
            "the \(role.rawValue) certificate is issued by \"\(found)\", not by \"\(expected)\""
        case .chainProduct(let role, let found, let expected):
            "the \(role.rawValue) certificate is for \"\(found)\", the root for \(expected.rawValue)"
        case .notYetValid(let role, let from): "the \(role.rawValue) certificate is valid only from \(from)"
        case .expired(let role, let since): "the \(role.rawValue) certificate expired on \(since)"
        case .certificateSignature(let role): "the signature of the \(role.rawValue) certificate is wrong"
        case .untrustedRoot(let name): "the root \"\(name)\" is not one of those trusted"
        case .revoked(let role): "the \(role.rawValue) certificate is revoked"
        case .missingExtension(let role, let name): "the \(role.rawValue) certificate has no extension \(name)"
        default: "refused"
        }
    }

    private var reportDescription: String {
        switch self {
        case .unsigned: "the report is not signed"
        case .signatureAlgorithm(let value): "signature algorithm \(value) is not ECDSA P-384 with SHA-384"
        case .signingKey(let key, let role):
            "the report's SIGNING_KEY says \(key), the certificate is a \(role.rawValue)"
        case .signatureRange: "r or s of the report's signature is zero or too large"
        case .reportSignature: "the report's signature is wrong"
        case .unknownProcessor(let processor):
            "processor family \(processor.family) model \(processor.model) is not known"
        case .reportProduct(let report, let chain):
            "the report comes from a \(report.rawValue) processor, the certificates are for \(chain.rawValue)"
        case .reportedTCBReserved(let bits): "the reported TCB has meaningless bits set: 0x\(String(bits, radix: 16))"
        case .reportedTCB(let part, let report, let certificate):
            "the report's \(part.rawValue) level is \(report), the certificate's \(certificate)"
        case .chipIDMasked: "the report's chip id is masked and cannot be compared"
        case .chipID: "the report's chip id is not the certificate's"
        default: "refused"
        }
    }
}
