// The manufacturer's view of the emulated chip: which key signed a report, and the certificates that it issues for it.

internal import Attestation
internal import SNPArchitecture
internal import SecureProcessor

/// The chip, or the loaded key, that signs reports of a host.
struct ReportSigner: Sendable {
    let authority: TestAuthority
    /// VCEK or VLEK.
    let role: CertificateRole
    let publicKey: [UInt8]
    let tcb: TCBVersion
    let chipIdentifier: [UInt8]
    let serviceProvider: String

    /// The signer of a host's reports.
    init(_ processor: SecureProcessor, _ request: ReportMakeRequest) {
        authority = TestAuthority(product: request.product.line)
        tcb = processor.platformStatus.reportedTCB
        chipIdentifier = processor.chipIdentifier
        serviceProvider = request.serviceProvider ?? ""
        let signsWithVLEK = !request.asksForVCEK
        if signsWithVLEK, request.serviceProvider != nil, let key = processor.vlekPublicKey {
            role = .vlek
            publicKey = key
        } else {
            role = .vcek
            publicKey = processor.vcekPublicKey()
        }
    }

    var intermediateRole: CertificateRole { role == .vlek ? .asvk : .ask }
    var intermediate: Certificate { role == .vlek ? authority.asvk : authority.ask }

    /// The certificate's fields, for a tampering that changes them.
    ///
    /// - Throws: `InputError`
    func template(publicKey: [UInt8]? = nil) throws(InputError) -> CertificateTemplate {
        let key = publicKey ?? self.publicKey
        do throws(AuthorityError) {
            return role == .vlek
                ? try authority.vlekTemplate(publicKey: key, tcb: tcb, serviceProvider: serviceProvider)
                : try authority.vcekTemplate(publicKey: key, tcb: tcb, chipIdentifier: chipIdentifier)
        } catch { throw InputError("no certificate can be issued: \(error).") }
    }

    /// Signs a certificate with the issuer's key.
    ///
    /// - Throws: `InputError`
    func sign(_ template: CertificateTemplate) throws(InputError) -> [UInt8] {
        do throws(AuthorityError) { return try authority.sign(template).der } catch {
            throw InputError("no certificate can be issued: \(error).")
        }
    }

    /// A report with its chain.
    ///
    /// - Throws: `InputError`
    func artifacts(_ report: [UInt8]) throws(InputError) -> ReportArtifacts {
        ReportArtifacts(
            report: report,
            certificates: [
                .ark: authority.ark.der, intermediateRole: intermediate.der, role: try sign(try template()),
            ])
    }
}
