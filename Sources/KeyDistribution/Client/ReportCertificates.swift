// Everything that it takes to judge a report, fetched from a key distribution server.

public import Attestation
public import SNPArchitecture

/// The certificates for a report, as a server gave them: not yet judged.
public struct ReportCertificates: Hashable, Sendable {
    /// The root.
    public var ark: Certificate
    /// The ASK.
    public var intermediate: Certificate
    /// The VCEK of the report's chip at its reported TCB.
    public var endorsement: Certificate
    /// The root's revocation list.
    public var revocations: RevocationList
    /// The product under which the server has the chip.
    public var product: AttestationProduct
}

/// Fetches the certificates for a report from a server.
///
/// - Throws: in check order: a URL that is none; what `KeyDistributionClient.certificates` throws
public func certificates(
    for report: AttestationReport, from url: String, product: AttestationProduct? = nil,
    policy: RetryPolicy = RetryPolicy()
) throws(KeyDistributionError) -> ReportCertificates {
    try KeyDistributionClient(url: url, policy: policy).certificates(for: report, product: product)
}

extension KeyDistributionClient {
    /// Fetches root, intermediate, VCEK and revocation list for a report.
    ///
    /// The product is the one given, else that of the report's processor; a report of version 2 names none, so that
    /// each product whose chip identifiers have the report's form is tried.
    ///
    /// - Throws: in check order: `.unsigned`, `.loadedKey`, `.chipIDMasked`, `.unknownProcessor`, what fetching throws,
    ///   `.noProduct`
    public func certificates(
        for report: AttestationReport, product given: AttestationProduct? = nil
    ) throws(KeyDistributionError) -> ReportCertificates {
        do throws(KeyDistributionFailure) {
            guard report.signingKey != .none else { throw .unsigned }
            guard report.signingKey == .vcek else { throw .loadedKey }
            guard report.chipID.contains(where: { $0 != 0 }) else { throw .chipIDMasked }
            if given == nil, let processor = report.processor, processor.product == nil {
                throw .unknownProcessor(processor)
            }
        } catch {
            throw KeyDistributionError(error, url: "\(server)")
        }
        let (product, endorsement) = try endorsement(for: report, product: given ?? report.processor?.product)
        let (ark, intermediate) = try chain(.vcek, of: product)
        return ReportCertificates(
            ark: ark, intermediate: intermediate, endorsement: endorsement,
            revocations: try revocationList(.vcek, of: product), product: product)
    }

    private func endorsement(
        for report: AttestationReport, product known: AttestationProduct?
    ) throws(KeyDistributionError) -> (AttestationProduct, Certificate) {
        if let known { return (known, try endorsement(of: known, chip: report.chipID, tcb: report.reportedTCB)) }
        let isShort = report.chipID[8...].allSatisfy { $0 == 0 }
        let candidates = AttestationProduct.allCases.filter { ($0.chipIDByteCount == 8) == isShort }
        for product in candidates {
            do throws(KeyDistributionError) {
                return (product, try endorsement(of: product, chip: report.chipID, tcb: report.reportedTCB))
            } catch {
                guard error.failure == .status(404) else { throw error }
            }
        }
        throw KeyDistributionError(.noProduct(tried: candidates), url: "\(server)", attempts: candidates.count)
    }
}
