// Judges a chain by itself, without a report.

public import Attestation
internal import Monitor
internal import SNPArchitecture

/// What became of a chain.
public struct ChainVerdict: Sendable {
    /// A certificate of the chain.
    public struct Link: Sendable {
        /// Its place.
        public var role: CertificateRole
        /// What it says.
        public var certificate: Certificate
        /// The file that it came from.
        public var place: String
    }

    /// The chain from the root down, if it verified.
    public var links: [Link] = []
    /// Whose the root is.
    public var root: RootIdentity?
    /// The place of the revocation list that was applied.
    public var revocationListPlace: String?
    /// Why the chain is refused, or nil.
    public var refusal: AttestationError?
}

/// Judges the chain of a folder or file. A refusal is a result, not an error.
///
/// - Parameter requiresAMD: whether only AMD's roots are believed
/// - Throws: `InputError` for the folder or file
public func verifyCertificates(
    _ path: String, at date: CertificateTime, requiresAMD: Bool = false
) throws(InputError) -> ChainVerdict {
    let bundle: CertificateBundle
    do throws(FileError) { bundle = try CertificateBundle(path: path) } catch { throw InputError(error.description) }
    var verdict = ChainVerdict()
    do throws(AttestationError) {
        let chain = try bundle.chain(for: nil, trust: requiresAMD ? .amd : .given, at: date)
        verdict.root = RootIdentity(chain.authority.ark, product: chain.product)
        verdict.revocationListPlace = bundle.revocationListPlace
        let parts: [(CertificateRole, Certificate)] = [
            (.ark, chain.authority.ark), (chain.authority.intermediateRole, chain.authority.intermediate),
            (chain.role, chain.endorsement),
        ]
        verdict.links = parts.map { role, certificate in
            ChainVerdict.Link(role: role, certificate: certificate, place: bundle.place(of: certificate) ?? "")
        }
    } catch { verdict.refusal = error }
    return verdict
}
