// THE PRIVATE KEYS HERE ARE WORTHLESS: anybody can compute them from the phrases below, and is meant to. They certify
// emulated chips, repeat in every run, and must never be trusted for anything else.

internal import Crypto
internal import CryptoExtras

/// An RSA-4096 key made from public phrases.
///
/// Each prime is `expand(phrase) + 2 * step`: expand hashes the phrase to 2048 bits, and the step is found beforehand by
/// Scripts/find-prime-steps, so that no prime has to be looked for.
struct AuthorityKey: Sendable {
    /// SubjectPublicKeyInfo, in DER.
    let publicKeyInfo: [UInt8]
    /// What a SubjectKeyIdentifier says of it: the first 160 bits of SHA-256 of the key (RFC 7093 section 2).
    let identifier: [UInt8]
    private let key: _RSA.BlindSigning.PrivateKey<SHA384>
    private static let exponent: UInt64 = 65537

    /// Makes the key of a name that has steps.
    init(name: String) {
        guard let steps = Self.steps[name] else { preconditionFailure("no key is called \(name)") }
        let p = Self.expand("rampart TEST \(name) p") + 2 * steps.p
        let q = Self.expand("rampart TEST \(name) q") + 2 * steps.q
        let modulus = (p * q).bigEndian(byteCount: 512)
        let made = try? _RSA.BlindSigning.PrivateKey(
            n: modulus, e: [1, 0, 1] as [UInt8], d: Self.privateExponent(p, q).bigEndian(byteCount: 512),
            p: p.bigEndian(byteCount: 256), q: q.bigEndian(byteCount: 256),
            parameters: .RSABSSA_SHA384_PSS_Deterministic)
        guard let made else { preconditionFailure("the steps of \(name) give no key") }
        key = made
        let numbers = DERWriter.sequence(DERWriter.integer(modulus), DERWriter.integer(Self.exponent))
        let algorithm = DERWriter.sequence(DERWriter.identifier([1, 2, 840, 113549, 1, 1, 1]), DERWriter.null)
        publicKeyInfo = DERWriter.sequence(algorithm, DERWriter.bits(numbers))
        identifier = Array(SHA256.hash(data: numbers).prefix(20))
    }

    /// Signs with RSASSA-PSS and SHA-384. The same bytes always get the same signature.
    func signature(of bytes: [UInt8]) -> [UInt8] {
        guard let signature = try? key.blindSignature(for: PSSEncoding.encoded(bytes)) else {
            preconditionFailure("a key that was checked does not sign")
        }
        return Array(signature.rawRepresentation)
    }

    /// 2048 bits of SHA-512 over the phrase and a block's number; the top two bits and the lowest are set.
    private static func expand(_ phrase: String) -> LargeInteger {
        var bytes = (0..<4).flatMap { block in Array(SHA512.hash(data: Array("\(phrase) \(block)".utf8))) }
        bytes[0] |= 0xc0
        bytes[255] |= 1
        return LargeInteger(bigEndian: bytes)
    }

    /// The d with e * d = 1 + k * phi, where k = -1 / phi modulo e. As e is prime, 1 / phi is phi to the
    /// power of e - 2, that is of sixteen ones.
    private static func privateExponent(_ p: LargeInteger, _ q: LargeInteger) -> LargeInteger {
        let totient = p.predecessor * q.predecessor
        let residue = totient.quotientAndRemainder(dividingBy: exponent).remainder
        let inverse = (0..<16).reduce(1 as UInt64) { power, _ in power * power % exponent * residue % exponent }
        let (quotient, remainder) = (totient * (exponent - inverse) + 1).quotientAndRemainder(dividingBy: exponent)
        precondition(remainder == 0, "the public exponent divides the totient")
        return quotient
    }
}
