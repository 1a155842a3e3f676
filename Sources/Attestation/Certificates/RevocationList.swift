// Certificate revocation lists, as the key distribution server publishes them: the serial numbers that no longer hold.

internal import SwiftASN1

/// A certificate revocation list.
///
/// - Spec: RFC 5280 section 5.1
public struct RevocationList: Hashable, Sendable {
    /// The list's bytes.
    public let der: [UInt8]
    /// The issuer's name.
    public let issuer: DistinguishedName
    /// The moment of issue.
    public let thisUpdate: CertificateTime
    /// The moment by which the next one comes, if the list says so.
    public let nextUpdate: CertificateTime?
    /// The serial numbers that are revoked, as encoded.
    public let revoked: Set<[UInt8]>
    let signature: PSSSignature

    /// Reads a list from DER.
    ///
    /// - Throws: the first part that is not as it should be
    public init(der: [UInt8]) throws(CertificateError) {
        self.der = der
        let name = "the revocation list"
        var outer = try DERSequence(try DERSequence.parse(der[...], name), name)
        let signedPart = try outer.next(name)
        let algorithm = try outer.next(name)
        let signatureBytes = try outer.next(name).wholeBits("the signature")
        try outer.end(name)
        var fields = try DERSequence(signedPart, name)
        if let version = fields.next(if: .integer) {
            guard try version.byte(name) == 1 else { throw .unsupportedVersion }
        }
        guard try fields.next(name).encodedBytes == algorithm.encodedBytes else { throw .signatureAlgorithmsDiffer }
        try PSSSignature.check(algorithm)
        issuer = try DistinguishedName(try fields.next(name), "the issuer")
        thisUpdate = try fields.next(name).time(name)
        if let node = fields.next(if: .utcTime) ?? fields.next(if: .generalizedTime) {
            nextUpdate = try node.time(name)
        } else {
            nextUpdate = nil
        }
        var serials: Set<[UInt8]> = []
        if let node = fields.next(if: .sequence) {
            var entries = try DERSequence(node, name)
            while !entries.isAtEnd {
                var entry = try DERSequence(try entries.next(name), name)
                serials.insert(Array(try entry.next(name).primitive(.integer, name)))
            }
        }
        revoked = serials
        _ = fields.next(ifTagged: 0)
        try fields.end(name)
        signature = PSSSignature(signed: Array(signedPart.encodedBytes), bytes: signatureBytes)
    }
}
