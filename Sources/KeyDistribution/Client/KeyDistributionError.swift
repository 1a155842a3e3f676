// Why a client came back with empty hands: what happened last, where, and how often it tried.

public import Attestation
public import SNPArchitecture

/// What went wrong.
public enum KeyDistributionFailure: Error, Hashable, Sendable {
    /// The URL asks for TLS.
    case secureScheme
    /// The URL is not one of a server.
    case malformedURL(String)
    /// The report names no chip.
    case chipIDMasked
    /// The report says that nobody signed it.
    case unsigned
    /// The report is signed with a key whose certificate key distribution servers do not give out.
    case loadedKey
    /// The report's processor is of a product that is not known.
    case unknownProcessor(ReportedProcessor)
    /// The report does not say its product, and no product that was tried has the chip.
    case noProduct(tried: [AttestationProduct])
    /// There is no connection, with the system's reason.
    case noConnection(String)
    /// No whole answer came in time.
    case timeout
    /// The connection ended before the answer was whole.
    case truncated
    /// The answer is no HTTP.
    case notHTTP
    /// The answer is larger than any document.
    case tooLarge
    /// The server answered with a status other than 200.
    case status(Int)
    /// The server asks for a longer pause than the client is willing to make.
    case pauseTooLong(seconds: Int)
    /// The document is not what was asked for.
    case certificate(CertificateError)
    /// The chain does not consist of two certificates.
    case chainLength(Int)
}

/// A failure of a client, and the way to it.
public struct KeyDistributionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong at last.
    public var failure: KeyDistributionFailure
    /// The URL that was asked for, or that of the server if it did not come to that.
    public var url: String
    /// How often it was asked for; 0 if it did not come to that.
    public var attempts: Int

    /// Makes an error.
    public init(_ failure: KeyDistributionFailure, url: String, attempts: Int = 0) {
        self.failure = failure
        self.url = url
        self.attempts = attempts
    }

    /// What went wrong, where, and how often it was tried.
    public var description: String {
        let times = attempts > 1 ? " (tried \(attempts) times)" : ""
        return "\(url): \(failure)\(times)"
    }
}

extension KeyDistributionFailure: CustomStringConvertible {
    /// What went wrong.
    public var description: String {
        switch self {
        case .secureScheme:
            "only plain http is spoken here. Fetch the certificates with curl and name their folder with --certs, or "
                + "give an http URL, such as that of rampart kds serve or of a proxy on this host."
        case .malformedURL(let reason): "not the URL of a server: \(reason). Write http://HOST:PORT."
        case .chipIDMasked: "the report's chip id is masked, so that its certificate cannot be asked for"
        case .unsigned: "the report is not signed, so that there is no certificate for it"
        case .loadedKey:
            "the report is signed with a VLEK, whose certificate only its host's owner gives out. Name the folder that "
                + "has it with --certs."
        case .unknownProcessor(let processor):
            "the report's processor, family \(processor.family) model \(processor.model), is not known"
        case .noProduct(let tried):
            "the server knows the report's chip under none of \(tried.map(\.rawValue).joined(separator: ", "))"
        case .noConnection(let reason): "no connection: \(reason)"
        case .timeout: "no whole answer came in time"
        case .truncated: "the connection ended before the answer was whole"
        case .notHTTP: "the answer is not HTTP"
        case .tooLarge: "the answer is larger than any certificate or list"
        case .status(let status): "the server answered \(Self.name(status))"
        case .pauseTooLong(let seconds):
            "the server answered 429 (too many requests) and asks for \(seconds) s of pause"
        case .certificate(let error): "the document is not what was asked for: \(error)"
        case .chainLength(let count): "the chain has \(count) certificates, not an intermediate one and a root"
        }
    }

    private static func name(_ status: Int) -> String {
        switch status {
        case 400: "400 (bad request)"
        case 404: "404 (not found)"
        case 429: "429 (too many requests)"
        case 500: "500 (internal error)"
        case 503: "503 (unavailable)"
        default: String(status)
        }
    }
}
