// Known answers of the cryptography that launches depend on, to be asked for where a library or a processor is doubted.

import Crypto

/// Known-answer tests of the cryptographic library.
public enum CryptoSelfCheck {
    /// The outcome of one test.
    public struct Outcome: Hashable, Sendable {
        /// The algorithm.
        public var name: String
        /// Whether the answer was the known one.
        public var isGood: Bool
    }

    /// Runs every test.
    public static func run() -> [Outcome] {
        [
            // FIPS 180-4, the message "abc".
            Outcome(
                name: "SHA-256",
                isGood: text(SHA256.hash(data: Array("abc".utf8)))
                    == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            Outcome(
                name: "SHA-384",
                isGood: text(SHA384.hash(data: Array("abc".utf8)))
                    == "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                    + "8086072ba1e7cc2358baeca134c825a7"),
            Outcome(
                name: "AES-256-GCM", isGood: gcm() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
            ),
            Outcome(name: "ECDSA P-384", isGood: ecdsa()),
        ]
    }

    /// NIST's GCM test case 14: key, nonce and one block of text all zero.
    private static func gcm() -> String? {
        let zeros = [UInt8](repeating: 0, count: 16)
        guard let nonce = try? AES.GCM.Nonce(data: zeros.prefix(12)),
            let box = try? AES.GCM.seal(zeros, using: SymmetricKey(data: zeros + zeros), nonce: nonce)
        else { return nil }
        return text(box.ciphertext) + text(box.tag)
    }

    /// A signature verifies over its own message and not over another one.
    private static func ecdsa() -> Bool {
        let key = P384.Signing.PrivateKey()
        guard let signature = try? key.signature(for: Array("right".utf8)) else { return false }
        return key.publicKey.isValidSignature(signature, for: Array("right".utf8))
            && !key.publicKey.isValidSignature(signature, for: Array("wrong".utf8))
    }

    private static func text(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
