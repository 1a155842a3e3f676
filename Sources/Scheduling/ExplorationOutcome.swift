// How an explored run ended.

/// How an explored run ended.
public enum ExplorationOutcome: Equatable, Sendable, CustomStringConvertible {
    /// Every thread came to its end.
    case completed
    /// No thread could go on: who waits for what, and who holds it.
    case deadlock(String)
    /// A thread or a check at a schedule point reported a failure, or a thread broke the lock order.
    case failed(String)
    /// The run reached its limit of schedule points.
    case tooManySteps

    /// The outcome in words.
    public var description: String {
        switch self {
        case .completed: "completed"
        case .deadlock(let who): "deadlock: \(who)"
        case .failed(let reason): "failed: \(reason)"
        case .tooManySteps: "too many steps"
        }
    }
}
