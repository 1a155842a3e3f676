// How often and how long a client tries. Every number is a bound: the whole takes a foreseeable time.

/// How a client deals with a server that fails for now.
public struct RetryPolicy: Hashable, Sendable {
    /// Attempts for one document, the first included.
    public var attempts = 5
    /// The pause after the first failure; each further one doubles it.
    public var firstPause = Duration.milliseconds(100)
    /// The longest pause, also where the server asks for one.
    public var longestPause = Duration.seconds(30)
    /// The time for a connection.
    public var connectTimeout = Duration.seconds(5)
    /// The time for a whole answer.
    public var answerTimeout = Duration.seconds(15)

    /// Makes the usual policy.
    public init() {}

    /// What to do after an attempt.
    enum Step: Hashable, Sendable {
        case pause(Duration)
        case giveUp(KeyDistributionFailure)
    }

    /// What to do after the attempt with this number failed; the first is 1.
    ///
    /// Answers 429 and 5xx, answers that are cut off and those that do not come are tried again; Retry-After of 429 and
    /// 503 is honoured up to the longest pause. All else would fail again.
    ///
    /// - Spec: RFC 6585 section 4; RFC 9110 section 10.2.3
    func step(after attempt: Int, _ failure: KeyDistributionFailure, retryAfterSeconds: Int? = nil) -> Step {
        switch failure {
        case .status(429), .status(500...599), .truncated, .timeout: break
        default: return .giveUp(failure)
        }
        guard attempt < attempts else { return .giveUp(failure) }
        if let seconds = retryAfterSeconds {
            guard .seconds(seconds) <= longestPause else { return .giveUp(.pauseTooLong(seconds: seconds)) }
            return .pause(.seconds(seconds))
        }
        var pause = firstPause
        for _ in 1..<max(attempt, 1) where pause < longestPause { pause *= 2 }
        return .pause(min(pause, longestPause))
    }
}
