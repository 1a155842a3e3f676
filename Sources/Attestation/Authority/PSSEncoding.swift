// EMSA-PSS with SHA-384 for a modulus of 4096 bits, and a salt that follows from the message instead of from chance.

internal import Crypto

/// The padding of RSASSA-PSS.
///
/// - Spec: RFC 8017 section 9.1.1, EMSA-PSS-ENCODE
enum PSSEncoding {
    /// The number that the private key is applied to.
    static func encoded(_ message: [UInt8]) -> [UInt8] {
        let digest = Array(SHA384.hash(data: message))
        let salt = Array(SHA384.hash(data: Array("rampart TEST salt".utf8) + digest))
        let hash = Array(SHA384.hash(data: [UInt8](repeating: 0, count: 8) + digest + salt))
        let paddingCount = 512 - salt.count - hash.count - 2
        let block = [UInt8](repeating: 0, count: paddingCount) + [1] + salt
        var masked = zip(block, mask(hash, byteCount: block.count)).map { $0 ^ $1 }
        // The encoded message has one bit less than the modulus.
        masked[0] &= 0x7f
        return masked + hash + [0xbc]
    }

    /// MGF1.
    private static func mask(_ seed: [UInt8], byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var counter: UInt8 = 0
        while bytes.count < byteCount {
            bytes += Array(SHA384.hash(data: seed + [0, 0, 0, counter]))
            counter += 1
        }
        return Array(bytes.prefix(byteCount))
    }
}
