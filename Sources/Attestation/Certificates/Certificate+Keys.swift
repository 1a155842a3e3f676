// Which public keys a certificate may hold: those that AMD uses and no other.

internal import Crypto
internal import CryptoExtras
internal import SwiftASN1

extension Certificate {
    private static let rsaEncryption = "1.2.840.113549.1.1.1"
    private static let ellipticCurve = "1.2.840.10045.2.1"
    private static let curveP384 = "1.3.132.0.34"

    static func keyKind(_ node: ASN1Node, _ bytes: [UInt8]) throws(CertificateError) -> CertificateKeyKind {
        let name = "the public key"
        var info = try DERSequence(node, name)
        var algorithm = try DERSequence(try info.next(name), name)
        let identifier = try algorithm.next(name).objectIdentifier(name)
        switch identifier {
        case rsaEncryption:
            guard let key = try? _RSA.Signing.PublicKey(derRepresentation: bytes) else { throw .malformed(name) }
            guard key.keySizeInBits == 4096 else { throw .unsupportedKey("RSA-\(key.keySizeInBits)") }
            return .rsa4096
        case ellipticCurve:
            let curve = try algorithm.next(name).objectIdentifier(name)
            guard curve == curveP384 else { throw .unsupportedKey("curve \(curve)") }
            guard (try? P384.Signing.PublicKey(derRepresentation: bytes)) != nil else { throw .malformed(name) }
            return .p384
        default: throw .unsupportedKey(identifier)
        }
    }
}
