// The seam between judging a report and getting its certificates: a folder, a file, or a server.

internal import Monitor
public import SNPArchitecture

/// Where the certificates for a report come from.
public protocol CertificateSource: Sendable {
    /// Gets what there is for a report.
    ///
    /// - Parameters:
    ///   - report: the report, read and not judged
    ///   - product: the product line that the user named, if any
    /// - Throws: `InputError` for what the user can mend; `CertificateSourceFailure` for what nothing can be concluded
    ///   from
    func certificates(for report: AttestationReport, product: AttestationProduct?) throws -> CertificateBundle
}

/// A source that cannot be reached or does not answer: nothing can be concluded about the report.
public struct CertificateSourceFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line for the user.
    public let description: String
    /// Makes a failure.
    public init(_ description: String) { self.description = description }
}

/// A folder, or a single file, with certificates.
public struct StoredCertificates: CertificateSource, Hashable {
    /// The folder or file.
    public var path: String
    /// Names a folder or file.
    public init(path: String) { self.path = path }

    /// Reads all that is there.
    ///
    /// - Throws: `InputError`
    public func certificates(
        for report: AttestationReport, product: AttestationProduct?
    ) throws -> CertificateBundle {
        do throws(FileError) { return try CertificateBundle(path: path) } catch { throw InputError(error.description) }
    }
}
