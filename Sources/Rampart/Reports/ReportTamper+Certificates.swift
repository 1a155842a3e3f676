// Ways to spoil the chain of a good report: certificates that are signed well and say the wrong thing, and ones that
// are not.

internal import Attestation
internal import SNPArchitecture

extension ReportTamper {
    /// Signs the chip's certificate anew after a change of what it says.
    private static func reissue(
        _ artifacts: inout ReportArtifacts, _ context: Context, _ change: (inout CertificateTemplate) -> Void
    ) throws(InputError) {
        var template = try context.signer.template()
        change(&template)
        artifacts.certificates[context.signer.role] = try context.signer.sign(template)
    }

    private static func level(_ name: String, _ part: TCBPart, _ number: Int) -> ReportTamper {
        ReportTamper("cert-\(name)", "the certificate is for another \(part.rawValue) level") {
            artifacts, context throws(InputError) in
            let layout = context.signer.authority.product.tcbLayout
            let reported = part.level(in: context.report.reportedTCB.components(layout))
            try reissue(&artifacts, context) { $0.endorsement.patchLevels[number] = reported ^ 1 }
            return .reportedTCB(part, report: reported, certificate: reported ^ 1)
        }
    }

    /// What the VCEK or VLEK certificate says.
    static let chips: [ReportTamper] = [
        level("bootloader", .bootLoader, 1),
        level("tee", .tee, 2),
        level("snp", .snp, 3),
        level("microcode", .microcode, 8),
        ReportTamper("cert-fmc", "the certificate is for another FMC level (Turin)") {
            artifacts, context throws(InputError) in
            guard context.signer.authority.product == .turin else {
                throw InputError("only Turin has an FMC level. Use --product turin.")
            }
            let reported = context.report.reportedTCB.components(.turin).fmc
            try reissue(&artifacts, context) { $0.endorsement.patchLevels[9] = reported ^ 1 }
            return .reportedTCB(.fmc, report: reported, certificate: reported ^ 1)
        },
        ReportTamper("cert-no-level", "the certificate names no SNP firmware level") {
            artifacts, context throws(InputError) in
            try reissue(&artifacts, context) { $0.endorsement.patchLevels[3] = nil }
            return .missingExtension(context.signer.role, "snpSPL")
        },
        ReportTamper("cert-chip-id", "the certificate is for another chip") { artifacts, context throws(InputError) in
            try needsVCEK(context)
            try reissue(&artifacts, context) { $0.endorsement.hardwareID?[0] ^= 1 }
            return .chipID
        },
        ReportTamper("cert-no-chip-id", "the certificate names no chip") { artifacts, context throws(InputError) in
            try needsVCEK(context)
            try reissue(&artifacts, context) { $0.endorsement.hardwareID = nil }
            return .missingExtension(.vcek, "hwID")
        },
        ReportTamper("cert-key", "the certificate is for a key that did not sign") {
            artifacts, context throws(InputError) in
            // The generator of the curve: the public half of the private key 1.
            artifacts.certificates[context.signer.role] = try context.signer.sign(
                try context.signer.template(publicKey: curveGenerator))
            return .reportSignature
        },
        ReportTamper("cert-product", "the certificate is for another product") {
            artifacts, context throws(InputError) in
            let line = context.signer.authority.product
            let other: AttestationProduct = line == .milan ? .genoa : .milan
            try reissue(&artifacts, context) { $0.endorsement.productName = other.rawValue }
            return .chainProduct(context.signer.role, found: other.rawValue, expected: line)
        },
        ReportTamper("cert-expired", "the certificate has expired") { artifacts, context throws(InputError) in
            let end = context.date.adding(days: -1)
            try reissue(&artifacts, context) { template in
                template.notBefore = end.adding(days: -365)
                template.notAfter = end
            }
            return .expired(context.signer.role, since: end)
        },
        ReportTamper("cert-not-yet", "the certificate holds only from tomorrow on") {
            artifacts, context throws(InputError) in
            let start = context.date.adding(days: 1)
            try reissue(&artifacts, context) { $0.notBefore = start }
            return .notYetValid(context.signer.role, from: start)
        },
        ReportTamper("cert-name", "the certificate has the name of no endorsement key") {
            artifacts, context throws(InputError) in
            try reissue(&artifacts, context) { $0.commonName = "VCEK" }
            return .missingCertificate(context.signer.role)
        },
        ReportTamper("cert-signature", "one bit of the certificate's signature") {
            artifacts, context throws(InputError) in
            flipLast(&artifacts, context.signer.role)
            return .certificateSignature(context.signer.role)
        },
        ReportTamper("cert-malformed", "the certificate ends early") { artifacts, context throws(InputError) in
            artifacts.certificates[context.signer.role]?.removeLast()
            return .certificate(context.signer.role, .malformed("the certificate"))
        },
        ReportTamper("cert-missing", "the certificate is not there") { artifacts, context throws(InputError) in
            artifacts.certificates[context.signer.role] = nil
            return .missingCertificate(context.signer.role)
        },
    ]

    /// The certificates above, and the root's list.
    static let authorities: [ReportTamper] = [
        ReportTamper("ask-swapped", "the intermediate is that of another product") {
            artifacts, context throws(InputError) in
            let line = context.signer.authority.product
            let other = TestAuthority(product: line == .milan ? .genoa : .milan)
            let role = context.signer.intermediateRole
            artifacts.certificates[role] = role == .ask ? other.ask.der : other.asvk.der
            return .missingCertificate(role)
        },
        ReportTamper("ask-signature", "one bit of the intermediate's signature") {
            artifacts, context throws(InputError) in
            flipLast(&artifacts, context.signer.intermediateRole)
            return .certificateSignature(context.signer.intermediateRole)
        },
        ReportTamper("ask-missing", "the intermediate is not there") { artifacts, context throws(InputError) in
            artifacts.certificates[context.signer.intermediateRole] = nil
            return .missingCertificate(context.signer.intermediateRole)
        },
        ReportTamper("ask-revoked", "the root's list revokes the intermediate") {
            artifacts, context throws(InputError) in
            artifacts.revocationList = try list(context, revoking: [context.signer.intermediate])
            return .revoked(context.signer.intermediateRole)
        },
        ReportTamper("crl-expired", "the root's list is out of date") { artifacts, context throws(InputError) in
            artifacts.revocationList = try list(context, revoking: [], days: -400)
            return .revocationListDate
        },
        ReportTamper("ark-swapped", "the root is that of another product") { artifacts, context throws(InputError) in
            let line = context.signer.authority.product
            artifacts.certificates[.ark] = TestAuthority(product: line == .milan ? .genoa : .milan).ark.der
            return .missingCertificate(.ark)
        },
        ReportTamper("ark-signature", "one bit of the root's signature") { artifacts, _ throws(InputError) in
            flipLast(&artifacts, .ark)
            return .certificateSignature(.ark)
        },
        ReportTamper("ark-missing", "the root is not there") { artifacts, _ throws(InputError) in
            artifacts.certificates[.ark] = nil
            return .missingCertificate(.ark)
        },
        ReportTamper("product", "the whole chain is that of another product (version 3 and 5)") {
            artifacts, context throws(InputError) in
            guard let found = context.report.processor?.product else {
                throw InputError("a report of version 2 does not name its processor. Use --report-version 3 or 5.")
            }
            try needsVCEK(context)
            guard found != .turin else {
                throw InputError("Turin's chips have ids of another length than others. Use another --product.")
            }
            let other = TestAuthority(product: found == .milan ? .genoa : .milan)
            artifacts.certificates[.ark] = other.ark.der
            artifacts.certificates[.ask] = other.ask.der
            do throws(AuthorityError) {
                artifacts.certificates[.vcek] = try other.vcek(
                    publicKey: context.signer.publicKey, tcb: context.signer.tcb,
                    chipIdentifier: context.signer.chipIdentifier
                ).der
            } catch { throw InputError("no certificate can be issued: \(error).") }
            return .reportProduct(report: found, chain: other.product)
        },
    ]

    private static func needsVCEK(_ context: Context) throws(InputError) {
        guard context.signer.role == .vcek else { throw InputError("a VLEK names no chip. Leave --vlek out.") }
    }

    private static func flipLast(_ artifacts: inout ReportArtifacts, _ role: CertificateRole) {
        guard let der = artifacts.certificates[role], !der.isEmpty else { return }
        artifacts.certificates[role]?[der.count - 1] ^= 1
    }

    private static func list(
        _ context: Context, revoking certificates: [Certificate], days: Int64 = -1
    ) throws(InputError) -> [UInt8] {
        do throws(AuthorityError) {
            return try context.signer.authority.revocationList(
                revoking: certificates, at: context.date.adding(days: days)
            ).der
        } catch { throw InputError("no revocation list can be issued: \(error).") }
    }

    /// The generator of P-384, two big-endian coordinates.
    private static let curveGenerator: [UInt8] =
        hexadecimalContents(
            Array(
                """
                aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7
                3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f
                """.utf8)) ?? []
}

extension CertificateTime {
    /// So many days later.
    func adding(days: Int64) -> CertificateTime {
        CertificateTime(secondsSince1970: secondsSince1970 &+ days &* 86_400)
    }
}
