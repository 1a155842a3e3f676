// What a server says: status, type, body.

internal import NIOCore
internal import NIOHTTP1

/// An answer to a request, whole.
struct Answer: Sendable {
    var status: HTTPResponseStatus
    var contentType: String
    var body: ByteBuffer
    /// Fields beyond those that each answer has.
    var extraFields: [(String, String)] = []

    /// A document.
    ///
    /// - Deviates: which media types AMD's server names is unconfirmed
    init(_ document: ByteBuffer, for request: KeyDistributionRequest) {
        status = .ok
        body = document
        switch request {
        case .chain: contentType = "application/x-pem-file"
        case .revocationList, .endorsement: contentType = "application/octet-stream"
        }
    }

    /// A refusal, with one line that says why.
    init(_ status: HTTPResponseStatus, _ reason: String) {
        self.status = status
        contentType = "text/plain; charset=utf-8"
        body = ByteBuffer(string: reason + "\n")
    }

    init(_ refusal: RequestRefusal) {
        self.init(refusal.status == 404 ? .notFound : .badRequest, refusal.description)
    }

    /// The method is neither GET nor HEAD.
    static var methodNotAllowed: Answer {
        var answer = Answer(.methodNotAllowed, "only GET and HEAD are answered")
        answer.extraFields = [("Allow", "GET, HEAD")]
        return answer
    }

    /// The answer that a fault puts in the place of the right one; nil for faults of delivery.
    init?(_ fault: Fault) {
        switch fault {
        case .notFound: self.init(.notFound, "not found, on request")
        case .serverError: self.init(.internalServerError, "failed, on request")
        case .tooManyRequests(let seconds):
            self.init(.tooManyRequests, "too many requests, on request")
            extraFields = [("Retry-After", String(seconds))]
        case .slow, .truncated: return nil
        }
    }
}
