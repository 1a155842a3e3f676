// The ID authentication structure: the keys and signatures that vouch for an ID block.

/// An elliptic-curve public key as the ABI writes it. Coordinates are little-endian.
///
/// - Spec: FWABI 56860, "Public key"
public struct FirmwarePublicKey: FirmwareLayout, Hashable, Sendable {
    /// The number of curve P-384.
    public static let curveP384: UInt32 = 2
    /// 0x404.
    public static let byteCount = 0x404
    /// The fields; the reserved bytes are not checked, but they are hashed.
    public static let fields: [LayoutField] = [
        .integer("CURVE", at: 0x000, byteCount: 4),
        .bytes("QX", at: 0x004, byteCount: 72),
        .bytes("QY", at: 0x04c, byteCount: 72),
        .unused(at: 0x094, byteCount: 0x370),
    ]
    /// CURVE.
    public var curve: UInt32
    /// QX, 72 bytes, little-endian.
    public var x: [UInt8]
    /// QY, 72 bytes, little-endian.
    public var y: [UInt8]
    /// What follows the point.
    public var rest: [UInt8]

    /// Makes a P-384 key from big-endian coordinates of 48 bytes.
    public init(p384BigEndianX x: [UInt8], y: [UInt8]) {
        curve = Self.curveP384
        self.x = Array(x.reversed()) + [UInt8](repeating: 0, count: 72 - x.count)
        self.y = Array(y.reversed()) + [UInt8](repeating: 0, count: 72 - y.count)
        rest = [UInt8](repeating: 0, count: 0x370)
    }
    /// Reads a key.
    public init(decoding bytes: [UInt8]) {
        curve = bytes.integer(at: 0)
        x = bytes.field(at: 4, byteCount: 72)
        y = bytes.field(at: 0x4c, byteCount: 72)
        rest = bytes.field(at: 0x94, byteCount: 0x370)
    }
    /// The key's bytes: what its digest covers and the author key signs.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(curve, at: 0)
        bytes.store(x, at: 4, limit: 72)
        bytes.store(y, at: 0x4c, limit: 72)
        bytes.store(rest, at: 0x94, limit: 0x370)
        return bytes
    }
}

/// An ECDSA signature as the ABI writes it. Numbers are little-endian.
///
/// - Spec: FWABI 56860, "Signature"
public struct FirmwareSignature: FirmwareLayout, Hashable, Sendable {
    /// 0x200.
    public static let byteCount = 0x200
    /// The fields; what follows the numbers is not checked.
    public static let fields: [LayoutField] = [
        .bytes("R", at: 0x000, byteCount: 72),
        .bytes("S", at: 0x048, byteCount: 72),
        .unused(at: 0x090, byteCount: 0x170),
    ]
    /// R, 72 bytes, little-endian.
    public var r: [UInt8]
    /// S, 72 bytes, little-endian.
    public var s: [UInt8]
    /// What follows the numbers.
    public var rest: [UInt8]

    /// Makes a P-384 signature from big-endian numbers of 48 bytes.
    public init(p384BigEndianR r: [UInt8], s: [UInt8]) {
        self.r = Array(r.reversed()) + [UInt8](repeating: 0, count: 72 - r.count)
        self.s = Array(s.reversed()) + [UInt8](repeating: 0, count: 72 - s.count)
        rest = [UInt8](repeating: 0, count: 0x170)
    }
    /// Reads a signature.
    public init(decoding bytes: [UInt8]) {
        r = bytes.field(at: 0, byteCount: 72)
        s = bytes.field(at: 0x48, byteCount: 72)
        rest = bytes.field(at: 0x90, byteCount: 0x170)
    }
    /// The signature's bytes.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(r, at: 0, limit: 72)
        bytes.store(s, at: 0x48, limit: 72)
        bytes.store(rest, at: 0x90, limit: 0x170)
        return bytes
    }
}

/// The ID authentication structure.
///
/// - Spec: FWABI 56860, ID_AUTH_INFO
/// - Deviates: none; firmware 1.55 does not check the reserved areas, which are neither kept nor reported here
public struct IDAuthentication: FirmwareLayout, Hashable, Sendable {
    /// The number of ECDSA P-384 with SHA-384.
    public static let ecdsaP384: UInt32 = 1
    /// One page.
    public static let byteCount = 0x1000
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("ID_KEY_ALGO", at: 0x000, byteCount: 4),
        .integer("AUTH_KEY_ALGO", at: 0x004, byteCount: 4),
        .unused(at: 0x008, byteCount: 0x38),
        .bytes("ID_BLOCK_SIG", at: 0x040, byteCount: 0x200),
        .bytes("ID_KEY", at: 0x240, byteCount: 0x404),
        .unused(at: 0x644, byteCount: 0x3c),
        .bytes("ID_KEY_SIG", at: 0x680, byteCount: 0x200),
        .bytes("AUTHOR_KEY", at: 0x880, byteCount: 0x404),
        .unused(at: 0xc84, byteCount: 0x37c),
    ]
    /// ID_KEY_ALGO.
    public var idKeyAlgorithm: UInt32
    /// AUTH_KEY_ALGO.
    public var authorKeyAlgorithm: UInt32
    /// ID_BLOCK_SIG: the ID key's signature over the ID block.
    public var idBlockSignature: FirmwareSignature
    /// ID_KEY.
    public var idKey: FirmwarePublicKey
    /// ID_KEY_SIG: the author key's signature over ID_KEY.
    public var idKeySignature: FirmwareSignature
    /// AUTHOR_KEY.
    public var authorKey: FirmwarePublicKey

    /// Makes the structure; without an author its fields are zeros.
    public init(
        idBlockSignature: FirmwareSignature, idKey: FirmwarePublicKey, idKeySignature: FirmwareSignature? = nil,
        authorKey: FirmwarePublicKey? = nil
    ) {
        idKeyAlgorithm = Self.ecdsaP384
        authorKeyAlgorithm = authorKey == nil ? 0 : Self.ecdsaP384
        self.idBlockSignature = idBlockSignature
        self.idKey = idKey
        self.idKeySignature =
            idKeySignature ?? FirmwareSignature(decoding: [UInt8](repeating: 0, count: FirmwareSignature.byteCount))
        self.authorKey =
            authorKey ?? FirmwarePublicKey(decoding: [UInt8](repeating: 0, count: FirmwarePublicKey.byteCount))
    }
    /// Reads the structure.
    public init(decoding bytes: [UInt8]) {
        idKeyAlgorithm = bytes.integer(at: 0)
        authorKeyAlgorithm = bytes.integer(at: 4)
        idBlockSignature = FirmwareSignature(decoding: bytes.field(at: 0x40, byteCount: 0x200))
        idKey = FirmwarePublicKey(decoding: bytes.field(at: 0x240, byteCount: 0x404))
        idKeySignature = FirmwareSignature(decoding: bytes.field(at: 0x680, byteCount: 0x200))
        authorKey = FirmwarePublicKey(decoding: bytes.field(at: 0x880, byteCount: 0x404))
    }
    /// The structure's page.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(idKeyAlgorithm, at: 0)
        bytes.store(authorKeyAlgorithm, at: 4)
        bytes.store(idBlockSignature.encoded, at: 0x40, limit: 0x200)
        bytes.store(idKey.encoded, at: 0x240, limit: 0x404)
        bytes.store(idKeySignature.encoded, at: 0x680, limit: 0x200)
        bytes.store(authorKey.encoded, at: 0x880, limit: 0x404)
        return bytes
    }
}
