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
        verdict.accept(chain.authority, with: [(chain.role, chain.endorsement)], from: bundle)
    } catch { verdict.refusal = error }
    return verdict
}

/// Judges each intermediate of a folder or file under its root, without certificates of chips. A refusal is a result.
///
/// - Parameter requiresAMD: whether only AMD's roots are believed
/// - Returns: a verdict for each ASK and ASVK, in order of their places; one that misses the ASK if there is none
/// - Throws: `InputError` for the folder or file
public func verifyAuthorities(
    _ path: String, at date: CertificateTime, requiresAMD: Bool = false
) throws(InputError) -> [ChainVerdict] {
    let bundle: CertificateBundle
    do throws(FileError) { bundle = try CertificateBundle(path: path) } catch { throw InputError(error.description) }
    let certificates = bundle.certificates.map(\.item)
    let intermediates = certificates.filter { $0.isAuthority && $0.subject != $0.issuer }
    guard !intermediates.isEmpty else { return [ChainVerdict(refusal: .missingCertificate(.ask))] }
    return intermediates.map { intermediate in
        var verdict = ChainVerdict()
        do throws(AttestationError) {
            guard let ark = certificates.first(where: { $0.subject == intermediate.issuer }) else {
                throw .missingCertificate(.ark)
            }
            let authority = try AuthorityChain(
                ark: ark, intermediate: intermediate, trust: requiresAMD ? .amd : .given, at: date,
                revocations: bundle.revocationLists.map(\.item).first { $0.issuer == ark.subject })
            verdict.accept(authority, from: bundle)
        } catch { verdict.refusal = error }
        return verdict
    }
}

extension ChainVerdict {
    /// Records a chain that verified: the authorities, then what they vouch for.
    fileprivate mutating func accept(
        _ authority: AuthorityChain, with endorsements: [(CertificateRole, Certificate)] = [],
        from bundle: CertificateBundle
    ) {
        root = RootIdentity(authority.ark, product: authority.product)
        revocationListPlace = bundle.revocationListPlace
        let authorities: [(CertificateRole, Certificate)] = [
            (.ark, authority.ark), (authority.intermediateRole, authority.intermediate),
        ]
        links = (authorities + endorsements).map { role, certificate in
            Link(role: role, certificate: certificate, place: bundle.place(of: certificate) ?? "")
        }
    }
}
