// Makes the AMD Secure Processor refuse, dawdle or die on request: for tests, explorers and fuzzers.

public import SNPArchitecture
internal import Synchronization

/// What the mailbox does to one command.
public enum MailboxFault: Hashable, Sendable {
    /// Answers with this status; the command has not run.
    case status(FirmwareStatus)
    /// The command runs, and its answer comes so many nanoseconds later, by `HostClock`.
    case late(nanoseconds: UInt64)
    /// The command does not run, and neither it nor any later one is answered until the mailbox is reset.
    case silence
}

/// A source of failures of the AMD Secure Processor. Costs one load while nothing is asked.
public final class MailboxInjection: Sendable {
    private struct State {
        var decide: (@Sendable (FirmwareCommand, Int) -> MailboxFault?)?
        var calls: [FirmwareCommand: Int] = [:]
    }
    private let state = Mutex(State())
    private let isArmed = Atomic<Bool>(false)

    init() {}

    /// Asks `decide` before each command, with how often this command has been sent since, counted from 1. Nil disarms.
    public func set(_ decide: (@Sendable (FirmwareCommand, Int) -> MailboxFault?)?) {
        state.withLock { $0 = State(decide: decide) }
        isArmed.store(decide != nil, ordering: .releasing)
    }

    /// Gives a fault to some calls of a command, counted from 1. Ends with `set(nil)`.
    public func fail(_ command: FirmwareCommand, calls: ClosedRange<Int> = 1...1, with fault: MailboxFault) {
        set { found, call in found == command && calls.contains(call) ? fault : nil }
    }

    func fault(_ command: FirmwareCommand) -> MailboxFault? {
        guard isArmed.load(ordering: .acquiring) else { return nil }
        let (decide, call) = state.withLock { state in
            state.calls[command, default: 0] += 1
            return (state.decide, state.calls[command] ?? 0)
        }
        return decide?(command, call)
    }
}
