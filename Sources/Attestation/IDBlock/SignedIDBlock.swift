// Making and checking ID blocks: what the guest's owner hands to LAUNCH_FINISH, and the digests that reports then show.

internal import Crypto
public import SNPArchitecture

/// An ID block with the signatures that vouch for it.
///
/// - Spec: FWABI 56860, ID_BLOCK and ID_AUTH_INFO
public struct SignedIDBlock: Hashable, Sendable {
    /// The block.
    public let block: IDBlock
    /// Its keys and signatures.
    public let authentication: IDAuthentication
    /// Whether an author key signed the ID key.
    public var hasAuthor: Bool { authentication.authorKeyAlgorithm != 0 }

    /// Signs a block with the keys of PEM texts.
    ///
    /// - Throws: in check order: `.fieldLength`, `.privateKey`
    public init(signing block: IDBlock, idKey: String, authorKey: String? = nil) throws(IDBlockError) {
        guard block.launchDigest.count == 48 else { throw .fieldLength("the launch digest") }
        guard block.familyID.count == 16 else { throw .fieldLength("the family id") }
        guard block.imageID.count == 16 else { throw .fieldLength("the image id") }
        let signer = try Self.privateKey(idKey, .id)
        let publicKey = Self.firmwareKey(signer.publicKey)
        let signature = try Self.sign(block.encoded, signer, .id)
        var idKeySignature: FirmwareSignature?
        var authorPublicKey: FirmwarePublicKey?
        if let authorKey {
            let author = try Self.privateKey(authorKey, .author)
            idKeySignature = try Self.sign(publicKey.encoded, author, .author)
            authorPublicKey = Self.firmwareKey(author.publicKey)
        }
        self.block = block
        authentication = IDAuthentication(
            idBlockSignature: signature, idKey: publicKey, idKeySignature: idKeySignature, authorKey: authorPublicKey)
    }

    /// Takes a block and its signatures, and verifies them as firmware does at launch.
    ///
    /// - Throws: in check order: `.algorithm` of the ID key and the author key, `.publicKey` and `.signature` of the ID
    ///   key, then of the author key
    /// - Deviates: launch digest and policy are compared at launch only, where they are known
    public init(verifying block: IDBlock, _ authentication: IDAuthentication) throws(IDBlockError) {
        let hasAuthor = authentication.authorKeyAlgorithm != 0
        guard authentication.idKeyAlgorithm == IDAuthentication.ecdsaP384 else { throw .algorithm(.id) }
        guard !hasAuthor || authentication.authorKeyAlgorithm == IDAuthentication.ecdsaP384 else {
            throw .algorithm(.author)
        }
        try Self.verify(authentication.idBlockSignature, of: block.encoded, by: authentication.idKey, .id)
        if hasAuthor {
            let signed = authentication.idKey.encoded
            try Self.verify(authentication.idKeySignature, of: signed, by: authentication.authorKey, .author)
        }
        self.block = block
        self.authentication = authentication
    }

    /// ID_KEY_DIGEST, as a report of the guest shows it.
    public var idKeyDigest: [UInt8] { Array(SHA384.hash(data: authentication.idKey.encoded)) }
    /// AUTHOR_KEY_DIGEST, as a report of the guest shows it: zeros without author key.
    public var authorKeyDigest: [UInt8] {
        guard hasAuthor else { return [UInt8](repeating: 0, count: 48) }
        return Array(SHA384.hash(data: authentication.authorKey.encoded))
    }

    private static func privateKey(_ pem: String, _ key: IDBlockKey) throws(IDBlockError) -> P384.Signing.PrivateKey {
        do { return try P384.Signing.PrivateKey(pemRepresentation: pem) } catch { throw .privateKey(key) }
    }

    private static func firmwareKey(_ key: P384.Signing.PublicKey) -> FirmwarePublicKey {
        let point = Array(key.rawRepresentation)
        return FirmwarePublicKey(p384BigEndianX: Array(point.prefix(48)), y: Array(point.suffix(48)))
    }

    private static func sign(
        _ bytes: [UInt8], _ key: P384.Signing.PrivateKey, _ role: IDBlockKey
    ) throws(IDBlockError) -> FirmwareSignature {
        do {
            return FirmwareSignature(p384BigEndian: Array(try key.signature(for: bytes).rawRepresentation))
        } catch { throw .privateKey(role) }
    }

    private static func verify(
        _ signature: FirmwareSignature, of bytes: [UInt8], by key: FirmwarePublicKey, _ role: IDBlockKey
    ) throws(IDBlockError) {
        guard key.curve == FirmwarePublicKey.curveP384 else { throw .publicKey(role) }
        let numbers = key.x + key.y
        guard numbers.count == 144, numbers[48..<72].allSatisfy({ $0 == 0 }), numbers[120...].allSatisfy({ $0 == 0 })
        else { throw .publicKey(role) }
        let point = numbers[..<48].reversed() + numbers[72..<120].reversed()
        guard let publicKey = try? P384.Signing.PublicKey(rawRepresentation: point) else { throw .publicKey(role) }
        guard let raw = signature.p384BigEndian else { throw .signature(role) }
        guard let number = try? P384.Signing.ECDSASignature(rawRepresentation: raw) else { throw .signature(role) }
        guard publicKey.isValidSignature(number, for: bytes) else { throw .signature(role) }
    }
}
