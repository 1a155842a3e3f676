// Why the test authority refuses to certify or to revoke.

public import SNPArchitecture

/// Why the test authority makes no certificate or list.
public enum AuthorityError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The public key is not 96 bytes with the coordinates of a point of P-384.
    case publicKey
    /// The TCB version has bits set that have no meaning for the product.
    case reservedTCB(UInt64)
    /// The chip's id has not the product's length.
    case chipIdentifier(byteCount: Int, product: AttestationProduct)
    /// The service provider's name is not 1 to 64 printable ASCII characters.
    case serviceProvider
    /// The moment lies outside the years that a certificate can name.
    case unwritableTime(CertificateTime)
    /// The certificate to be revoked was not issued by the root, whose list it would stand in.
    case notIssuedByRoot(String)
    /// The fields asked for make no certificate that can be read.
    case unreadable(CertificateError)

    /// The cause in words.
    public var description: String {
        switch self {
        case .publicKey: "the public key is not 96 bytes that name a point of P-384"
        case .reservedTCB(let bits): "the TCB version has reserved bits set: \(String(bits, radix: 16))"
        case .chipIdentifier(let count, let product):
            "the chip's id has \(count) bytes, and \(product.rawValue) has ids of \(product.chipIDByteCount)"
        case .serviceProvider: "the service provider's name is not 1 to 64 printable ASCII characters"
        case .unwritableTime: "the time lies outside the years 0 to 9999"
        case .notIssuedByRoot(let name): "\(name) was not issued by the root, which alone has a revocation list"
        case .unreadable(let error): "the fields make no certificate: \(error)"
        }
    }
}
