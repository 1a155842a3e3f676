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

    /// Makes the key: 56 derived bytes, little-endian, modulo the order of the curve less one, plus one.
    init(_ kind: Kind, hash: [UInt8]) {
        self.kind = kind
        self.hash = hash
        let wide = KeyDerivation.derive(hash, label: kind.label, byteCount: 56)
        do {
            signing = try P384.Signing.PrivateKey(rawRepresentation: P384Scalar.reduce(littleEndian: wide))
        } catch {
            preconditionFailure("a number from 1 to n - 1 is a private key")
        }
    }

    /// Signs the bytes with ECDSA over their SHA-384.
    ///
    /// - Deviates: the nonce is the system's random number, so that two signatures of the same bytes differ
    func sign(_ bytes: [UInt8]) -> FirmwareSignature {
        do {
            let raw = Array(try signing.signature(for: SHA384.hash(data: bytes)).rawRepresentation)
            return FirmwareSignature(p384BigEndianR: Array(raw[..<48]), s: Array(raw[48...]))
        } catch {
            preconditionFailure("P-384 refused to sign")
        }
    }
}

/// Numbers modulo the order of P-384.
enum P384Scalar {
    /// n - 1, the least significant word first.
    private static let orderMinusOne: [UInt64] = [
        0xecec_196a_ccc5_2972, 0x581a_0db2_48b0_a77a, 0xc763_4d81_f437_2ddf, ~0, ~0, ~0, 0,
    ]

    /// `number mod (n - 1) + 1`, as 48 big-endian bytes.
    static func reduce(littleEndian number: [UInt8]) -> [UInt8] {
        var rest = [UInt64](repeating: 0, count: 7)
        for byte in number.reversed() {
            for bit in (0..<8).reversed() {
                var carry = UInt64(byte >> UInt8(bit) & 1)
                for index in rest.indices { (rest[index], carry) = (rest[index] << 1 | carry, rest[index] >> 63) }
                if !isLess(rest, orderMinusOne) { subtract(orderMinusOne, from: &rest) }
            }
        }
        for index in rest.indices {
            rest[index] &+= 1
            if rest[index] != 0 { break }
        }
        return (0..<48).map { UInt8(truncatingIfNeeded: rest[(47 - $0) / 8] >> UInt64((47 - $0) % 8 * 8)) }
    }

    private static func isLess(_ a: [UInt64], _ b: [UInt64]) -> Bool {
        for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] }
        return false
    }

    private static func subtract(_ b: [UInt64], from a: inout [UInt64]) {
        var borrow: UInt64 = 0
        for index in a.indices {
            let (first, overflow) = a[index].subtractingReportingOverflow(b[index])
            let (second, again) = first.subtractingReportingOverflow(borrow)
            a[index] = second
            borrow = overflow || again ? 1 : 0
        }
    }
}
