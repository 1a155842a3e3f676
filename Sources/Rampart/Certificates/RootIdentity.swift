// Whose a root is. A self-signed certificate proves nothing; a verifier must say in words what its verdict rests on.

public import Attestation
public import SNPArchitecture

/// Whose a root is.
public enum RootIdentity: Hashable, Sendable, CustomStringConvertible {
    /// AMD's, by the digest of its key.
    case amd(AttestationProduct)
    /// That of Rampart's emulated chips, whose keys are public.
    case test(AttestationProduct)
    /// Neither: somebody's own.
    case own(String)

    /// Recognizes a root by its key.
    public init(_ root: Certificate, product: AttestationProduct) {
        if RootTrust.isAMD(root) {
            self = .amd(product)
        } else if root.subject.commonName.contains("TEST"),
            RootTrust.keyDigest(of: root) == RootTrust.keyDigest(of: TestAuthority(product: product).ark)
        {
            self = .test(product)
        } else {
            self = .own(root.subject.commonName)
        }
    }

    /// The root in words.
    public var description: String {
        switch self {
        case .amd(let product): "AMD's \(product.rawValue) root"
        case .test: "Rampart's TEST root: its keys are public, so this proves nothing about hardware"
        case .own(let name): "a root of your own, \"\(name)\": neither AMD's nor Rampart's TEST root"
        }
    }

    /// A word for programs.
    public var word: String {
        switch self {
        case .amd: "amd"
        case .test: "test"
        case .own: "own"
        }
    }
}
