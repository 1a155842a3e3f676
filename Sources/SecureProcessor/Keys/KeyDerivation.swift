// The one key derivation function of the firmware: SP 800-108 in counter mode with HMAC-SHA-256.

internal import Crypto
internal import SNPArchitecture

/// Derives keys from keys.
///
/// - Spec: FWABI 56860, MSG_KEY_REQ; NIST SP 800-108, KDF in counter mode
enum KeyDerivation {
    /// Derives `byteCount` bytes: blocks of HMAC over counter, label, a zero byte, context and the length in bits.
    static func derive(_ root: [UInt8], label: String, context: [UInt8] = [], byteCount: Int = 32) -> [UInt8] {
        let key = SymmetricKey(data: root)
        var result: [UInt8] = []
        var counter: UInt32 = 0
        while result.count < byteCount {
            counter += 1
            let message =
                littleEndian(counter) + Array(label.utf8) + [0] + context + littleEndian(UInt32(byteCount * 8))
            result += Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        }
        return Array(result.prefix(byteCount))
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4)
        bytes.store(value, at: 0)
        return bytes
    }
}
