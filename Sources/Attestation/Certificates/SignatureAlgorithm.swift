// The one signature algorithm of AMD's certificates: RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.

internal import Crypto
internal import CryptoExtras
internal import SwiftASN1

/// The signature of a certificate or a revocation list: the bytes it covers and the signature's own.
struct PSSSignature: Hashable, Sendable {
    /// The signed part, as encoded.
    var signed: [UInt8]
    /// The signature.
    var bytes: [UInt8]

    static let rsassaPSS = "1.2.840.113549.1.1.10"
    static let mgf1 = "1.2.840.113549.1.1.8"
    static let sha384 = "2.16.840.1.101.3.4.2.2"

    /// Whether the holder of the RSA key made the signature.
    func isValid(publicKey: [UInt8]) -> Bool {
        guard let key = try? _RSA.Signing.PublicKey(derRepresentation: publicKey) else { return false }
        let signature = _RSA.Signing.RSASignature(rawRepresentation: bytes)
        return key.isValidSignature(signature, for: SHA384.hash(data: signed), padding: .PSS)
    }

    /// Demands that an AlgorithmIdentifier is RSASSA-PSS with AMD's parameters.
    static func check(_ node: ASN1Node) throws(CertificateError) {
        let name = "the signature algorithm"
        var algorithm = try DERSequence(node, name)
        let identifier = try algorithm.next(name).objectIdentifier(name)
        guard identifier == rsassaPSS else { throw .unsupportedSignatureAlgorithm(identifier) }
        guard !algorithm.isAtEnd else { throw .unsupportedPSSParameters("hash") }
        var parameters = try DERSequence(try algorithm.next(name), name)
        try algorithm.end(name)
        guard let hash = parameters.next(ifTagged: 0) else { throw .unsupportedPSSParameters("hash") }
        var hashTag = try DERSequence(tagged: 0, hash, name)
        guard try digest(try hashTag.next(name)) == sha384 else { throw .unsupportedPSSParameters("hash") }
        guard let mask = parameters.next(ifTagged: 1) else { throw .unsupportedPSSParameters("mask") }
        var maskTag = try DERSequence(tagged: 1, mask, name)
        var maskAlgorithm = try DERSequence(try maskTag.next(name), name)
        guard try maskAlgorithm.next(name).objectIdentifier(name) == mgf1 else {
            throw .unsupportedPSSParameters("mask")
        }
        guard try digest(try maskAlgorithm.next(name)) == sha384 else { throw .unsupportedPSSParameters("mask hash") }
        guard let salt = parameters.next(ifTagged: 2) else { throw .unsupportedPSSParameters("salt length") }
        var saltTag = try DERSequence(tagged: 2, salt, name)
        guard try saltTag.next(name).byte(name) == 48 else { throw .unsupportedPSSParameters("salt length") }
        if let trailer = parameters.next(ifTagged: 3) {
            var trailerTag = try DERSequence(tagged: 3, trailer, name)
            guard try trailerTag.next(name).byte(name) == 1 else { throw .unsupportedPSSParameters("trailer") }
        }
        try parameters.end(name)
    }

    /// The object identifier of a hash's AlgorithmIdentifier, whose parameters are NULL or absent.
    private static func digest(_ node: ASN1Node) throws(CertificateError) -> String {
        let name = "the signature algorithm's hash"
        var algorithm = try DERSequence(node, name)
        let identifier = try algorithm.next(name).objectIdentifier(name)
        _ = algorithm.next(if: .null)
        try algorithm.end(name)
        return identifier
    }
}
