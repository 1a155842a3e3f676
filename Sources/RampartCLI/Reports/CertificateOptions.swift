// Where the certificates for a report come from: the one place that knows all sources.

import ArgumentParser
import Rampart

/// The options that name a source of certificates.
struct CertificateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Folder or file with certificates: PEM, DER, or a table of them.", valueName: "path"))
    var certs: String?

    /// The source that the options name.
    ///
    /// - Throws: `CommandFailure` when there is none
    func source(product: ProductName?) throws -> any CertificateSource {
        guard let certs else {
            throw CommandFailure.usage("--certs is missing. Name the folder with the report's certificates.")
        }
        return StoredCertificates(path: certs)
    }
}
