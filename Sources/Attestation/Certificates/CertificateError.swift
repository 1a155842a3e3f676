// Why bytes are not a certificate, or a certificate revocation list, of the kind that AMD issues.

/// Why a certificate or a revocation list cannot be read.
public enum CertificateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no certificate in the text.
    case noPEM
    /// The text holds something else than what is asked for.
    case wrongPEMLabel(String)
    /// The named part is not what X.509 lays down.
    case malformed(String)
    /// The certificate's version is not 3.
    case unsupportedVersion
    /// The signature is not RSASSA-PSS.
    case unsupportedSignatureAlgorithm(String)
    /// The parameters of RSASSA-PSS are not SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    case unsupportedPSSParameters(String)
    /// The algorithm inside the signed part differs from that beside the signature.
    case signatureAlgorithmsDiffer
    /// The public key is of another kind than RSA-4096 or P-384.
    case unsupportedKey(String)
    /// An extension occurs twice.
    case duplicateExtension(String)
    /// An extension is critical and not known.
    case unknownCriticalExtension(String)

    /// The cause in words.
    public var description: String {
        switch self {
        case .noPEM: "the text holds no PEM block"
        case .wrongPEMLabel(let label): "the PEM block is labelled \(label)"
        case .malformed(let part): "\(part) is malformed"
        case .unsupportedVersion: "the certificate is not of version 3"
        case .unsupportedSignatureAlgorithm(let name): "the signature algorithm \(name) is not RSASSA-PSS"
        case .unsupportedPSSParameters(let part): "the RSASSA-PSS parameter \(part) is not the one AMD uses"
        case .signatureAlgorithmsDiffer: "the signature algorithms inside and outside the signed part differ"
        case .unsupportedKey(let kind): "the public key, \(kind), is neither RSA-4096 nor P-384"
        case .duplicateExtension(let name): "extension \(name) occurs twice"
        case .unknownCriticalExtension(let name): "extension \(name) is critical and not known"
        }
    }
}
