// A frame whose RMPUPDATE fails for good, to see what a conversion makes of that.

import SNPArchitecture
import Synchronization

/// Picks the n-th RMPUPDATE and fails it and every repetition of it.
final class FailingUpdate: Sendable {
    private struct State {
        var left: UInt64
        var frame: PFN?
    }
    private let state: Mutex<State>

    /// - Parameter nth: 1 for the first
    init(_ nth: UInt64) { state = Mutex(State(left: nth)) }

    func decide(_ pfn: PFN) -> RMPStatus? {
        state.withLock { state in
            if let frame = state.frame { return frame == pfn ? .failInUse : nil }
            state.left -= 1
            guard state.left == 0 else { return nil }
            state.frame = pfn
            return .failInUse
        }
    }
}
