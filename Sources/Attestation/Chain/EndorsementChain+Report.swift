// Judging a report against a verified chain: signature, product, TCB, chip. The report's bytes come from anybody.

internal import Crypto
public import SNPArchitecture

extension EndorsementChain {
    /// Verifies that the chain's key signed the report and that the certificate is for the chip and the TCB it names.
    ///
    /// - Throws: in check order: `.report`, `.unsigned`, `.signingKey`, `.signatureAlgorithm`, `.signatureRange`,
    ///   `.reportSignature`, `.unknownProcessor`, `.reportProduct`, `.reportedTCBReserved`, `.missingExtension`,
    ///   `.reportedTCB`, `.chipIDMasked`, `.chipID`, `.policy`
    @discardableResult
    public func verify(
        report bytes: [UInt8], policy: ReportPolicy? = nil
    ) throws(AttestationError) -> AttestationReport {
        let report: AttestationReport
        do throws(ReportFormatError) { report = try AttestationReport(decoding: bytes) } catch { throw .report(error) }
        try checkSignature(report, bytes)
        if let processor = report.processor {
            guard let product = processor.product else { throw .unknownProcessor(processor) }
            guard product == self.product else { throw .reportProduct(report: product, chain: self.product) }
        }
        try checkTCB(report)
        if role == .vcek { try checkChip(report) }
        if let policy {
            do throws(PolicyRefusal) { try policy.check(report, product: product) } catch { throw .policy(error) }
        }
        return report
    }

    private func checkSignature(_ report: AttestationReport, _ bytes: [UInt8]) throws(AttestationError) {
        guard report.signingKey != .none else { throw .unsigned }
        guard report.signingKey == (role == .vlek ? .vlek : .vcek) else {
            throw .signingKey(report: report.signingKey, certificate: role)
        }
        guard report.signatureAlgorithm == 1 else { throw .signatureAlgorithm(report.signatureAlgorithm) }
        guard let raw = report.signature.p384BigEndian else { throw .signatureRange }
        guard raw[..<48].contains(where: { $0 != 0 }), raw[48...].contains(where: { $0 != 0 }) else {
            throw .signatureRange
        }
        guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw) else { throw .signatureRange }
        let digest = SHA384.hash(data: bytes[..<AttestationReport.signedByteCount])
        guard key.isValidSignature(signature, for: digest) else { throw .reportSignature }
    }

    private func checkTCB(_ report: AttestationReport) throws(AttestationError) {
        let layout = product.tcbLayout
        let reserved = report.reportedTCB.rawValue & TCBVersion.reserved(layout)
        guard reserved == 0 else { throw .reportedTCBReserved(reserved) }
        let reported = report.reportedTCB.components(layout)
        var parts: [(TCBPart, Int, String)] = [
            (.bootLoader, 1, "blSPL"), (.tee, 2, "teeSPL"), (.snp, 3, "snpSPL"), (.microcode, 8, "ucodeSPL"),
        ]
        if layout == .turin { parts.insert((.fmc, 9, "fmcSPL"), at: 0) }
        for (part, number, name) in parts {
            guard let certified = endorsement.endorsement.patchLevels[number] else {
                throw .missingExtension(role, name)
            }
            guard part.level(in: reported) == certified else {
                throw .reportedTCB(part, report: part.level(in: reported), certificate: certified)
            }
        }
    }

    private func checkChip(_ report: AttestationReport) throws(AttestationError) {
        guard let hardwareID = endorsement.endorsement.hardwareID else { throw .missingExtension(role, "hwID") }
        guard report.chipID.contains(where: { $0 != 0 }) else { throw .chipIDMasked }
        guard hardwareID.count == product.chipIDByteCount else { throw .chipID }
        let padding = [UInt8](repeating: 0, count: report.chipID.count - hardwareID.count)
        guard report.chipID == hardwareID + padding else { throw .chipID }
    }
}
