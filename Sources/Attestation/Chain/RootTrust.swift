// Which roots a verifier believes in. A self-signed certificate proves nothing by itself.

internal import Crypto

/// The roots that a verifier believes in.
public enum RootTrust: Hashable, Sendable {
    /// AMD's ARKs of Milan, Genoa and Turin.
    case amd
    /// The roots whose SubjectPublicKeyInfo has one of these SHA-384 digests.
    case keyDigests(Set<[UInt8]>)
    /// Whatever root the chain comes with: for test chains, and for callers that obtained the root by a safe way.
    case given

    /// The digest by which a root is known: SHA-384 of its SubjectPublicKeyInfo.
    public static func keyDigest(of root: Certificate) -> [UInt8] { Array(SHA384.hash(data: root.publicKeyInfo)) }

    /// Whether a root is AMD's of Milan, Genoa or Turin.
    public static func isAMD(_ root: Certificate) -> Bool { amdKeyDigests.contains(keyDigest(of: root)) }

    func accepts(_ root: Certificate) -> Bool {
        switch self {
        case .amd: Self.amdKeyDigests.contains(Self.keyDigest(of: root))
        case .keyDigests(let digests): digests.contains(Self.keyDigest(of: root))
        case .given: true
        }
    }

    /// Milan's, Genoa's and Turin's.
    private static let amdKeyDigests: Set<[UInt8]> = Set(
        [
            "1249f67f15cf229a4069195e1a9ce537d1765ef706a1f4a123c36be9518786515d25ecc007f366b564d2b3f31c48082e",
            "32ab53a6ce5ec14926207396e5c475ae768a6a9831b7e860b5acf2e1c1dff222bc5a8bfc43eb5e06393189c1f246d880",
            "3475f08a9727f8ac9a1deaea5f2a2097aa59d64d05c2a678c229c873e6359d3a6926287a2a22cd5f88a385e333a2fcc5",
        ].map { digits in
            stride(from: 0, to: digits.utf8.count, by: 2).compactMap { offset in
                UInt8(digits.dropFirst(offset).prefix(2), radix: 16)
            }
        })
}
