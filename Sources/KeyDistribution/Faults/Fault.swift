// Misbehaviour that a server shows on request, so that clients can be tried against it.

/// A way to misbehave.
public enum Fault: Hashable, Sendable {
    /// 404, whatever is asked for.
    case notFound
    /// 429 with Retry-After in seconds.
    case tooManyRequests(retryAfterSeconds: Int)
    /// 500.
    case serverError
    /// The right answer, late.
    case slow(milliseconds: Int)
    /// The head of the right answer and half of its body, then the end of the connection.
    case truncated

    /// Reads `404`, `429`, `429=SECONDS`, `500`, `slow`, `slow=MILLISECONDS` or `truncated`.
    ///
    /// - Throws: in check order: unknown name, a value where none belongs, a value out of range (0 to 3600 s, 0 to 60000 ms)
    public init(parsing text: String) throws(FaultSyntaxError) {
        let pieces = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let value = pieces.count == 2 ? pieces[1] : nil
        func number(_ range: ClosedRange<Int>, or usual: Int) throws(FaultSyntaxError) -> Int {
            guard let value else { return usual }
            guard value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(value), range ~= number else {
                throw FaultSyntaxError("\"\(value)\" is not a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        switch pieces[0] {
        case "429": self = .tooManyRequests(retryAfterSeconds: try number(0...3600, or: 1))
        case "slow": self = .slow(milliseconds: try number(0...60_000, or: 1000))
        case "404": self = .notFound
        case "500": self = .serverError
        case "truncated": self = .truncated
        default:
            throw FaultSyntaxError("the fault \"\(pieces[0])\" is unknown. Use 404, 429, 500, slow or truncated.")
        }
        switch self {
        case .notFound, .serverError, .truncated:
            guard value == nil else { throw FaultSyntaxError("the fault \(pieces[0]) takes no value") }
        case .tooManyRequests, .slow: break
        }
    }
}

/// A text that describes no fault.
public struct FaultSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let description: String
    init(_ description: String) { self.description = description }
}
