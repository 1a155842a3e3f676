// An X.509 certificate as AMD issues it. Everything is read once; nothing here judges who issued it.

internal import SwiftASN1

/// What kind of key a certificate is about.
public enum CertificateKeyKind: Hashable, Sendable {
    /// RSA with 4096 bits: ARK, ASK, ASVK.
    case rsa4096
    /// The elliptic curve P-384: VCEK, VLEK.
    case p384
}

/// A certificate.
///
/// - Spec: RFC 5280 section 4.1; RFC 4055 section 3.1
public struct Certificate: Hashable, Sendable {
    /// The certificate's bytes.
    public let der: [UInt8]
    /// The serial number's bytes, big-endian, as encoded.
    public let serialNumber: [UInt8]
    /// The issuer's name.
    public let issuer: DistinguishedName
    /// The subject's name.
    public let subject: DistinguishedName
    /// The first moment at which it holds.
    public let notBefore: CertificateTime
    /// The last moment at which it holds.
    public let notAfter: CertificateTime
    /// The kind of its key.
    public let keyKind: CertificateKeyKind
    /// SubjectPublicKeyInfo, in DER.
    public let publicKeyInfo: [UInt8]
    /// Whether it may issue certificates: BasicConstraints says CA, and KeyUsage, if there is one, certificate signing.
    public let isAuthority: Bool
    /// AMD's extensions.
    public let endorsement: EndorsementExtensions
    let signature: PSSSignature

    /// Reads a certificate from DER.
    ///
    /// - Throws: the first part that is not as it should be
    public init(der: [UInt8]) throws(CertificateError) {
        self.der = der
        let name = "the certificate"
        var outer = try DERSequence(try DERSequence.parse(der[...], name), name)
        let signedPart = try outer.next(name)
        let algorithm = try outer.next(name)
        let signatureBytes = try outer.next(name).wholeBits("the signature")
        try outer.end(name)
        var fields = try DERSequence(signedPart, name)
        guard let version = fields.next(ifTagged: 0) else { throw .unsupportedVersion }
        var versionTag = try DERSequence(tagged: 0, version, "the version")
        guard try versionTag.next("the version").byte("the version") == 2 else { throw .unsupportedVersion }
        serialNumber = Array(try fields.next(name).primitive(.integer, "the serial number"))
        guard try fields.next(name).encodedBytes == algorithm.encodedBytes else { throw .signatureAlgorithmsDiffer }
        try PSSSignature.check(algorithm)
        issuer = try DistinguishedName(try fields.next(name), "the issuer")
        var validity = try DERSequence(try fields.next(name), "the validity")
        subject = try DistinguishedName(try fields.next(name), "the subject")
        notBefore = try validity.next("the validity").time("the validity")
        notAfter = try validity.next("the validity").time("the validity")
        try validity.end("the validity")
        let key = try fields.next(name)
        publicKeyInfo = Array(key.encodedBytes)
        keyKind = try Self.keyKind(key, publicKeyInfo)
        let extensions = try CertificateExtensions(fields.next(ifTagged: 3))
        isAuthority = extensions.isAuthority
        endorsement = extensions.endorsement
        try fields.end(name)
        signature = PSSSignature(signed: Array(signedPart.encodedBytes), bytes: signatureBytes)
    }

    /// Whether the holder of the other certificate's key signed this one. Says nothing of names, dates and purposes.
    public func isSigned(by authority: Certificate) -> Bool {
        authority.keyKind == .rsa4096 && signature.isValid(publicKey: authority.publicKeyInfo)
    }
}
