// From a request's head to what is to be done about it, without looking at the connection.

internal import NIOHTTP1

/// What a request comes to.
enum RequestDecision: Sendable {
    /// The answer is certain.
    case answer(Answer, fault: Fault?)
    /// The document is to be found.
    case document(KeyDistributionRequest, fault: Fault?)
}

extension AnswerService {
    /// The header field, and the parameter, with which a client asks for a fault.
    static let faultField = "X-Rampart-Fault"
    static let faultParameter = "rampart-fault"

    /// Judges a request that arrived whole, and counts it.
    ///
    /// The checks, in order: length of the target (414), host named once in HTTP/1.1 (400), the target's form (400), the
    /// fault asked for (400), then the fault itself, the method (405), path, product and parameters (404, 400).
    func decide(_ head: HTTPRequestHead) -> RequestDecision {
        guard head.uri.utf8.count <= limits.targetByteCount else {
            return .answer(Answer(.uriTooLong, "the request target is too long"), fault: beginRequest(asked: nil))
        }
        guard head.version != .http1_1 || head.headers[canonicalForm: "host"].count == 1 else {
            return .answer(Answer(.badRequest, "one Host field is needed"), fault: beginRequest(asked: nil))
        }
        var target: RequestTarget
        let asked: Fault?
        do {
            target = try RequestTarget(head.uri)
            let parameter = target.take(Self.faultParameter)
            asked = try (parameter ?? head.headers.first(name: Self.faultField)).map { try Fault(parsing: $0) }
        } catch let refusal as RequestRefusal {
            return .answer(Answer(refusal), fault: beginRequest(asked: nil))
        } catch {
            return .answer(Answer(.badRequest, "\(error)"), fault: beginRequest(asked: nil))
        }
        let fault = beginRequest(asked: asked)
        if let answer = fault.flatMap(Answer.init) { return .answer(answer, fault: nil) }
        guard head.method == .GET || head.method == .HEAD else { return .answer(.methodNotAllowed, fault: fault) }
        do throws(RequestRefusal) {
            return .document(try KeyDistributionRequest(target), fault: fault)
        } catch {
            return .answer(Answer(error), fault: fault)
        }
    }
}
