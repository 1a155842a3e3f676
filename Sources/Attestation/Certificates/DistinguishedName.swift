// The names of issuers and subjects. Two names are equal if their encodings are, which is stricter than X.509 asks.

internal import SwiftASN1

/// A distinguished name.
public struct DistinguishedName: Hashable, Sendable, CustomStringConvertible {
    /// The name's DER.
    public let der: [UInt8]
    /// CN, or the empty string.
    public let commonName: String

    init(_ node: ASN1Node, _ part: String) throws(CertificateError) {
        der = Array(node.encodedBytes)
        var names: [String] = []
        var sequence = try DERSequence(node, part)
        while !sequence.isAtEnd {
            var set = try DERSequence(try sequence.next(part), as: .set, part)
            while !set.isAtEnd {
                var pair = try DERSequence(try set.next(part), part)
                let identifier = try pair.next(part).objectIdentifier(part)
                let value = try pair.next(part)
                try pair.end(part)
                guard identifier == "2.5.4.3" else { continue }
                guard case .primitive(let bytes) = value.content else { throw .malformed(part) }
                names.append(String(decoding: bytes, as: UTF8.self))
            }
        }
        guard names.count <= 1 else { throw .malformed(part) }
        commonName = names.first ?? ""
    }

    /// CN.
    public var description: String { commonName }
}
