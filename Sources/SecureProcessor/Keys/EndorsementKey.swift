// A key that signs reports, made from the hash of a versioned chain.

internal import Crypto
internal import SNPArchitecture

/// A VCEK or a VLEK: the hash that keys are derived from and the P-384 key that signs.
struct EndorsementKey: Sendable {
    /// Which of the two.
    enum Kind: UInt32, Sendable {
        /// The chip's own.
        case vcek = 0
        /// Loaded by the host's owner.
        case vlek = 1

        var label: String {
            switch self {
            case .vcek: "sev-versioned-chip-endorsement-key"
            case .vlek: "sev-versioned-loaded-attestation-key"
            }
        }
    }

    let kind: Kind
    /// 48 bytes: the root of derived keys.
    let hash: [UInt8]
    let signing: P384.Signing.PrivateKey
    private let signer: DeterministicSigner

    /// Makes the key: 56 derived bytes, little-endian, modulo the order of the curve less one, plus one.
    init(_ kind: Kind, hash: [UInt8]) {
        self.kind = kind
        self.hash = hash
        let wide = KeyDerivation.derive(hash, label: kind.label, byteCount: 56)
        do {
            signing = try P384.Signing.PrivateKey(rawRepresentation: P384KeyNumber.reduce(littleEndian: wide))
        } catch {
            preconditionFailure("a number from 1 to n - 1 is a private key")
        }
        signer = DeterministicSigner(signing)
    }

    /// Signs the bytes with ECDSA over their SHA-384; the same bytes have the same signature.
    func sign(_ bytes: [UInt8]) -> FirmwareSignature {
        let (r, s) = signer.sign(SHA384.hash(data: bytes))
        return FirmwareSignature(p384BigEndianR: r, s: s)
    }
}
