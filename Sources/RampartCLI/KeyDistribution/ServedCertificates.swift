// A key distribution server as a source of certificates for `rampart report verify`.

import Attestation
import KeyDistribution
import Rampart
import SNPArchitecture

/// The certificates that a server has for a report.
struct ServedCertificates: CertificateSource {
    private let client: KeyDistributionClient

    /// Names a server.
    ///
    /// - Throws: `CommandFailure` for a URL that is none, or that asks for TLS
    init(url: String) throws {
        do throws(KeyDistributionError) { client = try KeyDistributionClient(url: url) } catch {
            throw CommandFailure.usage("--kds \(error)")
        }
    }

    /// Fetches root, intermediate, endorsement and revocation list.
    ///
    /// - Throws: `InputError` for a report that no server has certificates for; `CertificateSourceFailure` for a server that
    ///   does not give what it should
    func certificates(for report: AttestationReport, product: AttestationProduct?) throws -> CertificateBundle {
        let served: ReportCertificates
        do throws(KeyDistributionError) {
            served = try client.certificates(for: report, product: product)
        } catch {
            switch error.failure {
            case .unsigned, .loadedKey, .chipIDMasked, .unknownProcessor: throw InputError("\(error)")
            default: throw CertificateSourceFailure("\(error)")
            }
        }
        var bundle = CertificateBundle()
        func place(_ request: KeyDistributionRequest) -> String { "\(client.server)\(request.target)" }
        let chain = place(.chain(.vcek, served.product))
        let endorsement = place(.endorsement(served.product, chip: report.chipID, tcb: report.reportedTCB))
        bundle.add(served.ark.der, place: chain, mustHold: true)
        bundle.add(served.intermediate.der, place: chain, mustHold: true)
        bundle.add(served.endorsement.der, place: endorsement, mustHold: true)
        bundle.add(served.revocations.der, place: place(.revocationList(.vcek, served.product)), mustHold: true)
        return bundle
    }
}
