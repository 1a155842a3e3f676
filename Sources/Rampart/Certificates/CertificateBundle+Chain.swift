// From what a source holds to the chain for a report.

internal import Attestation
internal import SNPArchitecture

extension CertificateBundle {
    /// Finds and verifies the chain for a report, with the revocation list of its root if there is one.
    ///
    /// Of several certificates of chips the one that fits the report best is taken. A missing certificate whose file
    /// cannot be read is reported as that.
    ///
    /// - Throws: `AttestationError`, as `EndorsementChain(finding:)`
    func chain(
        for report: AttestationReport?, trust: RootTrust, at date: CertificateTime
    ) throws(AttestationError) -> EndorsementChain {
        let preferred: CertificateRole = report?.signingKey == .vlek ? .vlek : .vcek
        let ordered = report.map(fittingFirst) ?? certificates.map(\.item)
        do throws(AttestationError) {
            return try EndorsementChain(
                finding: ordered, preferred: preferred, trust: trust, at: date,
                revocations: revocationList(for: ordered))
        } catch .missingCertificate(let role) {
            if let fault = faults.first(where: { $0.role == role }) { throw .certificate(role, fault.error) }
            throw .missingCertificate(role)
        }
    }

    /// The list that one of the roots issued.
    func revocationList(for certificates: [Certificate]) -> RevocationList? {
        let roots = certificates.filter { $0.subject == $0.issuer }
        return revocationLists.map(\.item).first { list in roots.contains { $0.subject == list.issuer } }
            ?? revocationLists.first?.item
    }

    /// The certificates with those for the report's chip and TCB first.
    private func fittingFirst(_ report: AttestationReport) -> [Certificate] {
        func fit(_ certificate: Certificate) -> Int {
            let endorsement = certificate.endorsement
            guard let product = endorsement.product else { return 0 }
            var points = 0
            if let id = endorsement.hardwareID, report.chipID.starts(with: id) { points += 2 }
            let levels = report.reportedTCB.components(product.tcbLayout)
            let expected: [Int: UInt8] = [1: levels.bootLoader, 2: levels.tee, 3: levels.snp, 8: levels.microcode]
            if expected.allSatisfy({ endorsement.patchLevels[$0.key] == $0.value }) { points += 1 }
            return points
        }
        return certificates.map(\.item).enumerated().map { ($0.offset, fit($0.element), $0.element) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }.map(\.2)
    }
}
