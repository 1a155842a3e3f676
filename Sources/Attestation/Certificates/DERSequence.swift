// Reads DER one expected element after the other, with errors of this module. Everything read here may be hostile.

internal import SwiftASN1

/// The elements of a constructed DER value, taken in order.
struct DERSequence {
    private var nodes: ASN1NodeCollection.Iterator
    private var pending: ASN1Node?

    /// Opens a constructed value.
    init(_ node: ASN1Node, as identifier: ASN1Identifier = .sequence, _ name: String) throws(CertificateError) {
        guard node.identifier == identifier, case .constructed(let nodes) = node.content else { throw .malformed(name) }
        self.nodes = nodes.makeIterator()
        pending = self.nodes.next()
    }

    /// Opens a context-specific explicit tag.
    init(tagged number: UInt, _ node: ASN1Node, _ name: String) throws(CertificateError) {
        try self.init(node, as: ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific), name)
    }

    /// Parses bytes that must be one DER value.
    static func parse(_ bytes: ArraySlice<UInt8>, _ name: String) throws(CertificateError) -> ASN1Node {
        do { return try DER.parse(bytes) } catch { throw .malformed(name) }
    }

    /// The next element, whatever it is.
    mutating func next(_ name: String) throws(CertificateError) -> ASN1Node {
        guard let node = pending else { throw .malformed(name) }
        pending = nodes.next()
        return node
    }
    /// The next element, if there is one and it has this identifier.
    mutating func next(if identifier: ASN1Identifier) -> ASN1Node? {
        guard let node = pending, node.identifier == identifier else { return nil }
        pending = nodes.next()
        return node
    }
    /// The next element, if there is one and it has this context-specific tag.
    mutating func next(ifTagged number: UInt) -> ASN1Node? {
        next(if: ASN1Identifier(tagWithNumber: number, tagClass: .contextSpecific))
    }
    /// Whether all elements have been taken.
    var isAtEnd: Bool { pending == nil }
    /// Demands that nothing is left.
    func end(_ name: String) throws(CertificateError) { guard isAtEnd else { throw .malformed(name) } }
}

extension ASN1Node {
    /// The contents of a primitive value of this type.
    func primitive(_ identifier: ASN1Identifier, _ name: String) throws(CertificateError) -> ArraySlice<UInt8> {
        guard self.identifier == identifier, case .primitive(let bytes) = content else { throw .malformed(name) }
        return bytes
    }
    /// An object identifier, in dots.
    func objectIdentifier(_ name: String) throws(CertificateError) -> String {
        do { return try ASN1ObjectIdentifier(derEncoded: self).description } catch { throw .malformed(name) }
    }
    /// An INTEGER from 0 to 255.
    func byte(_ name: String) throws(CertificateError) -> UInt8 {
        let bytes = try primitive(.integer, name)
        if bytes.count == 1, let value = bytes.first, value < 0x80 { return value }
        guard bytes.count == 2, bytes.first == 0, let value = bytes.last, value >= 0x80 else { throw .malformed(name) }
        return value
    }
    /// A BIT STRING of whole bytes.
    func wholeBits(_ name: String) throws(CertificateError) -> [UInt8] {
        let bytes = try primitive(.bitString, name)
        guard bytes.first == 0 else { throw .malformed(name) }
        return Array(bytes.dropFirst())
    }
    /// UTCTime or GeneralizedTime.
    func time(_ name: String) throws(CertificateError) -> CertificateTime {
        do {
            if identifier == .utcTime {
                let time = try UTCTime(derEncoded: self)
                return CertificateTime(
                    year: time.year, month: time.month, day: time.day, hour: time.hours, minute: time.minutes,
                    second: time.seconds)
            }
            let time = try GeneralizedTime(derEncoded: self)
            return CertificateTime(
                year: time.year, month: time.month, day: time.day, hour: time.hours, minute: time.minutes,
                second: time.seconds)
        } catch { throw .malformed(name) }
    }
}
