// Judges a report: reads it, gets its certificates, verifies the chain and the signature, and asks what the policy
// asks.

public import Attestation
internal import Monitor
public import SNPArchitecture

/// A report to judge.
public struct ReportVerifyRequest: Sendable {
    /// Which roots are believed.
    public enum Root: Hashable, Sendable {
        /// The one that comes with the certificates, whatever it is; the verdict says which.
        case given
        /// AMD's.
        case amd
        /// The one of this file.
        case file(String)
    }

    /// The report's file: raw or hexadecimal.
    public var reportPath: String
    /// Where the certificates come from.
    public var source: any CertificateSource
    /// A revocation list besides those of the source.
    public var revocationListPath: String?
    /// The moment at which everything must hold.
    public var date: CertificateTime
    /// The product line that the report must come from.
    public var product: AttestationProduct?
    /// What is asked of the report.
    public var policy = ReportPolicy()
    /// Which roots are believed.
    public var root = Root.given

    /// Makes a request with the default policy.
    public init(reportPath: String, source: any CertificateSource, date: CertificateTime = .now) {
        self.reportPath = reportPath
        self.source = source
        self.date = date
    }
}

/// Why a report is refused.
public enum ReportRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The report, its chain or the policy.
    case attestation(AttestationError)
    /// The chain is for another product line than the user named.
    case product(found: AttestationProduct, asked: AttestationProduct)

    /// The cause in words.
    public var description: String {
        switch self {
        case .attestation(let error): error.description
        case .product(let found, let asked):
            "the certificates are for \(found.rawValue), and \(asked.rawValue) is asked for"
        }
    }
}

/// What became of a report.
public struct ReportVerdict: Sendable {
    /// The request.
    public var request: ReportVerifyRequest
    /// The report, if it could be read.
    public var report: AttestationReport?
    /// The chain, if it verified.
    public var chain: EndorsementChain?
    /// Whose the chain's root is.
    public var root: RootIdentity?
    /// The places that the chain's certificates came from, from the root down.
    public var places: [String] = []
    /// The place of the revocation list that was applied.
    public var revocationListPlace: String?
    /// Why the report is refused, the first cause first; empty if it is good.
    public var refusals: [ReportRefusal] = []

    /// Whether the report is good.
    public var isGood: Bool { refusals.isEmpty }
}

/// Judges a report. A refusal is a result, not an error.
///
/// The checks are, in order: the report's form; the chain, as `EndorsementChain(finding:)`; the product asked for; the
/// report, as `EndorsementChain.verify(report:policy:)`; every refusal of the policy.
///
/// - Throws: in check order: `InputError` for the report's file; what the source throws; `InputError` for the
///   revocation list and the root's file
public func verifyReport(_ request: ReportVerifyRequest) throws -> ReportVerdict {
    var verdict = ReportVerdict(request: request)
    let bytes: [UInt8]
    do throws(FileError) { bytes = try readReport(request.reportPath) } catch { throw InputError(error.description) }
    do throws(ReportFormatError) {
        verdict.report = try AttestationReport(decoding: bytes)
    } catch {
        verdict.refusals = [.attestation(.report(error))]
    }
    guard let report = verdict.report else { return verdict }
    var bundle = try request.source.certificates(for: report, product: request.product)
    if let path = request.revocationListPath { try bundle.addRevocationList(path) }
    let trust = try request.trust(&bundle)
    do throws(AttestationError) {
        let chain = try bundle.chain(for: report, trust: trust, at: request.date)
        verdict.chain = chain
        verdict.root = RootIdentity(chain.authority.ark, product: chain.product)
        verdict.places = [chain.authority.ark, chain.authority.intermediate, chain.endorsement]
            .compactMap { bundle.place(of: $0) }
        verdict.revocationListPlace = bundle.revocationListPlace
        if let asked = request.product, asked != chain.product {
            verdict.refusals = [.product(found: chain.product, asked: asked)]
            return verdict
        }
        try chain.verify(report: bytes)
        verdict.refusals = request.policy.refusals(of: report, product: chain.product).map {
            .attestation(.policy($0))
        }
    } catch {
        verdict.refusals = [.attestation(error)]
    }
    return verdict
}

extension ReportVerifyRequest {
    /// The roots to believe. One that the user gave joins the certificates.
    fileprivate func trust(_ bundle: inout CertificateBundle) throws(InputError) -> RootTrust {
        switch root {
        case .given: return .given
        case .amd: return .amd
        case .file(let path):
            let contents: [UInt8]
            do throws(FileError) { contents = try readFile(path, limit: CertificateBundle.fileLimit) } catch {
                throw InputError(error.description)
            }
            let given: [Certificate]
            do throws(CertificateError) { given = try Certificate.all(contents: contents) } catch {
                throw InputError("\(path): \(error). Give a certificate in PEM or DER.")
            }
            let roots = given.filter { $0.subject == $0.issuer }
            guard !roots.isEmpty else {
                throw InputError("\(path) holds no root: none of its certificates is its own issuer.")
            }
            bundle.certificates.insert(contentsOf: roots.map { .init(item: $0, place: path) }, at: 0)
            return .keyDigests(Set(roots.map(RootTrust.keyDigest)))
        }
    }
}

extension CertificateBundle {
    fileprivate mutating func addRevocationList(_ path: String) throws(InputError) {
        let contents: [UInt8]
        do throws(FileError) { contents = try readFile(path, limit: Self.fileLimit) } catch {
            throw InputError(error.description)
        }
        do throws(CertificateError) {
            revocationLists.insert(Found(item: try RevocationList(contents: contents), place: path), at: 0)
        } catch { throw InputError("\(path): \(error). Give a revocation list in PEM or DER.") }
    }

    /// The place of the list that `chain(for:trust:at:)` applies.
    var revocationListPlace: String? {
        revocationList(for: certificates.map(\.item)).flatMap { list in
            revocationLists.first { $0.item == list }?.place
        }
    }
}
