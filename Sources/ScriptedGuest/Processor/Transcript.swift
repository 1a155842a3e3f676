// What came of a script's steps.

public import SNPArchitecture

/// What one step came to.
@frozen public struct StepResult: Hashable, Sendable {
    /// The step's place in the script.
    public var step: UInt32
    /// How many pages of it were done as expected.
    public var pagesDone: UInt32
    /// How often the guest stopped on the way.
    public var exits: UInt32
    /// What it, or its first page that was not as expected, came to.
    public var outcome: StepOutcome
}

/// What came of a run of a script, kept by the processor.
public struct Transcript: Sendable {
    /// One result for each step that has ended, if they are kept.
    public internal(set) var results: [StepResult] = []
    /// The results that were not as expected.
    public internal(set) var failures: [StepResult] = []
    /// Events that the host injected; a script handles none.
    public internal(set) var events: [EventInjection] = []
    /// How many steps have ended.
    public internal(set) var stepCount = 0
}
