// ECDSA over P-384 and SHA-384 whose nonce follows from key and message, so that runs repeat byte for byte.

internal import Crypto

/// A private key that signs without a random number.
///
/// - Spec: RFC 6979, 3.2; FIPS 186-5, 6.4
struct DeterministicSigner: Sendable {
    private let key: P384Scalar
    private let encoded: [UInt8]

    init(_ key: P384.Signing.PrivateKey) {
        encoded = Array(key.rawRepresentation)
        self.key = P384Scalar(reducing: encoded)
    }

    /// The two numbers of the signature, 48 big-endian bytes each.
    func sign(_ digest: SHA384Digest) -> (r: [UInt8], s: [UInt8]) {
        let message = P384Scalar(reducing: digest)
        var nonces = NonceGenerator(key: encoded, message: message.bigEndian)
        while true {
            let nonce = nonces.next()
            let r = Self.abscissa(of: nonce)
            let s = nonce.inverse * (message + r * key)
            if !r.isZero, !s.isZero { return (r.bigEndian, s.bigEndian) }
            nonces.discard()
        }
    }

    /// The x of a multiple of the curve's base point, modulo the curve's order: the public key of a private key.
    private static func abscissa(of multiple: P384Scalar) -> P384Scalar {
        do {
            let key = try P384.Signing.PrivateKey(rawRepresentation: multiple.bigEndian)
            return P384Scalar(reducing: key.publicKey.rawRepresentation.prefix(48))
        } catch {
            preconditionFailure("a number from 1 to n - 1 is a private key")
        }
    }
}

/// The numbers from 1 to n - 1 that RFC 6979 tries for a key and a message, in order.
private struct NonceGenerator {
    private var key: SymmetricKey
    private var value = [UInt8](repeating: 1, count: 48)

    init(key secret: [UInt8], message: [UInt8]) {
        key = SymmetricKey(data: [UInt8](repeating: 0, count: 48))
        for step in 0...1 as ClosedRange<UInt8> {
            key = SymmetricKey(
                data: HMAC<SHA384>.authenticationCode(for: value + [step] + secret + message, using: key))
            advance()
        }
    }

    private mutating func advance() {
        value = Array(HMAC<SHA384>.authenticationCode(for: value, using: key))
    }

    mutating func next() -> P384Scalar {
        while true {
            advance()
            let number = P384Scalar(bigEndian: value)
            if let number, !number.isZero { return number }
            discard()
        }
    }

    /// Moves on from a number that did not do.
    mutating func discard() {
        key = SymmetricKey(data: HMAC<SHA384>.authenticationCode(for: value + [0], using: key))
        advance()
    }
}
