// Where the certificates for a report come from: the one place that knows all sources.

import ArgumentParser
import Rampart

/// The options that name a source of certificates.
struct CertificateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Folder or file with certificates: PEM, DER, or a table of them.", valueName: "path"))
    var certs: String?

    @Option(
        help: ArgumentHelp("Key distribution server to fetch certificates from, http only.", valueName: "url"))
    var kds: String?

    /// The source that the options name.
    ///
    /// - Throws: `CommandFailure`, in check order: both sources, a server's URL that is none, no source
    func source(product: ProductName?) throws -> any CertificateSource {
        guard certs == nil || kds == nil else {
            throw CommandFailure.usage("--certs and --kds exclude each other. Use one.")
        }
        if let kds { return try ServedCertificates(url: kds) }
        guard let certs else {
            throw CommandFailure.usage(
                "--certs is missing. Name the folder with the report's certificates, or a server with --kds.")
        }
        return StoredCertificates(path: certs)
    }
}
