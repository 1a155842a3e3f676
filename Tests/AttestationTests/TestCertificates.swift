import Crypto
import CryptoExtras

/// The keys of the test chain, made once per run.
enum TestKeys {
    static let root = makeRSA()
    static let intermediate = makeRSA()
    static let endorsement = P384.Signing.PrivateKey()
    static let otherEndorsement = P384.Signing.PrivateKey()

    private static func makeRSA() -> _RSA.Signing.PrivateKey {
        guard let key = try? _RSA.Signing.PrivateKey(keySize: _RSA.Signing.KeySize(bitCount: 4096)) else {
            preconditionFailure("no RSA key")
        }
        return key
    }
}

enum TestKey {
    case root, intermediate, endorsement, otherEndorsement, p256

    var info: [UInt8] {
        switch self {
        case .root: Array(TestKeys.root.publicKey.derRepresentation)
        case .intermediate: Array(TestKeys.intermediate.publicKey.derRepresentation)
        case .endorsement: Array(TestKeys.endorsement.publicKey.derRepresentation)
        case .otherEndorsement: Array(TestKeys.otherEndorsement.publicKey.derRepresentation)
        case .p256: Array(P256.Signing.PrivateKey().publicKey.derRepresentation)
        }
    }
    /// RSASSA-PSS with SHA-384 by one of the two RSA keys.
    func sign(_ bytes: [UInt8]) throws -> [UInt8] {
        let key = if case .root = self { TestKeys.root } else { TestKeys.intermediate }
        return Array(try key.signature(for: SHA384.hash(data: bytes), padding: .PSS).rawRepresentation)
    }
}

/// RSASSA-PSS's AlgorithmIdentifier, whose parts a test may spoil.
struct TestAlgorithm {
    var identifier = "1.2.840.113549.1.1.10"
    var hash = "2.16.840.1.101.3.4.2.2"
    var maskHash = "2.16.840.1.101.3.4.2.2"
    var salt = 48

    var der: [UInt8] {
        DER.sequence(
            DER.oid(identifier),
            DER.sequence(
                DER.tagged(0, DER.sequence(DER.oid(hash), DER.null)),
                DER.tagged(1, DER.sequence(DER.oid("1.2.840.113549.1.1.8"), DER.sequence(DER.oid(maskHash), DER.null))),
                DER.tagged(2, DER.integer(salt)),
                DER.tagged(3, DER.integer(1))))
    }
}

/// All that a test certificate says.
struct TestCertificate {
    var version = 2
    var serial: Int
    var subject: String
    var issuer: String
    var notBefore = "20240101000000Z"
    var notAfter = "20440101000000Z"
    var key: TestKey
    var signer: TestKey
    var isAuthority: Bool
    var keyUsage: [UInt8]?
    var algorithm = TestAlgorithm()
    var outerAlgorithm: TestAlgorithm?
    /// Extensions by OID, values in DER.
    var extensions: [(String, [UInt8])] = []
    var criticalExtension: String?
    /// Bytes to change after signing.
    var patches: [Int: UInt8] = [:]

    func der() throws -> [UInt8] {
        var list: [UInt8] = []
        if isAuthority {
            list += DER.sequence(DER.oid("2.5.29.19"), DER.yes, DER.octets(DER.sequence(DER.yes)))
        }
        if let keyUsage { list += DER.sequence(DER.oid("2.5.29.15"), DER.yes, DER.octets(DER.value(0x03, keyUsage))) }
        for (identifier, value) in extensions { list += DER.sequence(DER.oid(identifier), DER.octets(value)) }
        if let criticalExtension {
            list += DER.sequence(DER.oid(criticalExtension), DER.yes, DER.octets(DER.null))
        }
        let signed = DER.sequence(
            DER.tagged(0, DER.integer(version)), DER.integer(serial), algorithm.der, DER.name(issuer),
            DER.sequence(DER.generalizedTime(notBefore), DER.generalizedTime(notAfter)), DER.name(subject), key.info,
            DER.tagged(3, DER.value(0x30, list)))
        var bytes = DER.sequence(signed, (outerAlgorithm ?? algorithm).der, DER.bits(try signer.sign(signed)))
        for (offset, mask) in patches { bytes[offset < 0 ? bytes.count + offset : offset] ^= mask }
        return bytes
    }
}

/// All that a test revocation list says.
struct TestRevocationList {
    var issuer = "ARK-Milan"
    var signer = TestKey.root
    var thisUpdate = "20240101000000Z"
    var nextUpdate = "20440101000000Z"
    var serials: [Int] = []

    func der() throws -> [UInt8] {
        var entries: [UInt8] = []
        for serial in serials { entries += DER.sequence(DER.integer(serial), DER.generalizedTime("20250101000000Z")) }
        let signed = DER.sequence(
            DER.integer(1), TestAlgorithm().der, DER.name(issuer), DER.generalizedTime(thisUpdate),
            DER.generalizedTime(nextUpdate), serials.isEmpty ? [] : DER.value(0x30, entries))
        return DER.sequence(signed, TestAlgorithm().der, DER.bits(try signer.sign(signed)))
    }
}
