// Why an ID block cannot be signed, or is refused.

/// Why an ID block cannot be signed, or would be refused at launch.
public enum IDBlockError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text is no private key on P-384.
    case privateKey(IDBlockKey)
    /// The launch digest, the family id or the image id has a wrong length.
    case fieldLength(String)
    /// The algorithm number of a key is not ECDSA P-384 with SHA-384.
    case algorithm(IDBlockKey)
    /// A key is not a point of P-384.
    case publicKey(IDBlockKey)
    /// The key did not sign: the ID key the block, the author key the ID key.
    case signature(IDBlockKey)

    /// The cause in words.
    public var description: String {
        switch self {
        case .privateKey(let key): "the \(key.rawValue) key is no PEM private key on P-384"
        case .fieldLength(let field): "\(field) has a wrong length"
        case .algorithm(let key): "the \(key.rawValue) key's algorithm is not ECDSA P-384 with SHA-384"
        case .publicKey(let key): "the \(key.rawValue) key is not a point of P-384"
        case .signature(.id): "the ID key did not sign the ID block"
        case .signature(.author): "the author key did not sign the ID key"
        }
    }
}

/// The keys that vouch for an ID block.
public enum IDBlockKey: String, CaseIterable, Sendable {
    /// Signs the block.
    case id = "ID"
    /// Signs the ID key.
    case author
}
