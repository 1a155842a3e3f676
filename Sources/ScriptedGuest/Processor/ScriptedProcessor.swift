// Executes a script where an x86 processor would execute instructions: one object for each virtual CPU.

public import Machine
internal import SNPArchitecture

/// A processor whose guest code is a script.
///
/// A step that faults is repeated when the guest is entered again; a step of several pages goes on with the page that faulted.
/// After the last step, and after a step that is not as expected, the guest halts for good.
///
/// - Deviates: guest addresses are physical and the C-bit is given, so there are no guest page tables; registers keep what the
///   VMSA holds; an injected event is noted and has no other effect; an RMP instruction takes effect at CPL 0
public final class ScriptedProcessor: GuestProcessor {
    /// What it executes.
    public let script: GuestScript
    /// Goes on after a step that is not as expected.
    public let continuesAfterFailure: Bool
    /// What came of the steps so far.
    public private(set) var transcript = Transcript()

    /// The step to execute next.
    public private(set) var position = 0
    /// How much of it is done: pages, or entries.
    var progress: UInt32 = 0
    /// VMGEXIT was made and its answer is not read yet.
    var awaitsAnswer = false
    /// The page in `buffer` goes back to the host as it came.
    var repeatsRequest = false
    /// How often the guest stopped in this step.
    private var exits: UInt32 = 0
    /// The page of the GHCB, once chosen.
    var ghcb: GPA?
    let buffer = GHCBBuffer()
    /// Channels to firmware, by VMPCK.
    var channels: [UInt8: GuestMessageChannel] = [:]
    /// A request that is sealed and not yet answered.
    var sealedMessage: [UInt8]?
    var scratch: [UInt8]
    private let keepsResults: Bool

    /// Makes a processor at the start of a script.
    ///
    /// - Parameter keepsResults: keep the result of every step, not only of those that are not as expected
    public init(_ script: GuestScript, continuesAfterFailure: Bool = false, keepsResults: Bool = true) {
        self.script = script
        self.continuesAfterFailure = continuesAfterFailure
        self.keepsResults = keepsResults
        scratch = [UInt8](repeating: 0, count: script.longestRead)
        if keepsResults { transcript.results.reserveCapacity(script.steps.count) }
    }

    /// Whether the script has come to its end.
    public var isFinished: Bool { position >= script.steps.count }

    /// Executes steps until one stops the guest.
    public func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        if state.event.isValid {
            transcript.events.append(state.event)
            state.event = .none
        }
        while position < script.steps.count {
            guard !interrupt.isRaised, state.budget > 0 else { return GuestExit(.interrupt) }
            let step = script.steps[position]
            switch execute(step, &state, memory, interrupt) {
            case .outcome(let outcome): finish(step, outcome)
            case .exit(let exit):
                exits &+= 1
                return exit
            case .outcomeAndExit(let outcome, let exit):
                finish(step, outcome)
                return exit
            }
        }
        return GuestExit(.halt)
    }

    /// What one go at a step leads to.
    enum Progress {
        /// The step has ended.
        case outcome(StepOutcome)
        /// The guest stops, and the step goes on afterwards.
        case exit(GuestExit)
        /// The step has ended, and the guest stops.
        case outcomeAndExit(StepOutcome, GuestExit)
    }

    private func execute(
        _ step: GuestStep, _ state: inout VirtualCPUState, _ memory: GuestAccess, _ interrupt: InterruptLine
    ) -> Progress {
        switch step.operation {
        case .touch, .pvalidate: return walk(step, &state, memory, interrupt)
        case .read(let gpa, let cBit, let range):
            return once(&state) { () throws(GuestInstructionFailure) in
                try read(gpa, cBit, range, memory)
            }
        case .write(let gpa, let cBit, let range):
            return once(&state) { () throws(GuestInstructionFailure) in
                try write(gpa, cBit, range, memory)
            }
        case .rmpAdjust(let gpa, let size, let target, let permissions, let vmsa):
            return once(&state) { () throws(GuestInstructionFailure) in
                try adjust(gpa, size, target, permissions, vmsa, memory)
            }
        case .rmpQuery(let gpa, let target):
            return once(&state) { () throws(GuestInstructionFailure) in
                try query(gpa, target, memory)
            }
        case .msr(let request): return msr(request, &state)
        case .useGHCB(let gpa):
            ghcb = gpa
            return .outcome(.done)
        case .vmgexit(let call): return vmgexit(script.calls[Int(call)], &state, memory)
        case .changePageStates(let first, let count): return changePageStates(Int(first), count, &state, memory)
        case .report(let request): return report(script.reports[Int(request)], &state, memory)
        case .terminate(let value):
            state.ghcb = value
            state.budget -= 1
            return .outcomeAndExit(.done, GuestExit(.vmgexit))
        case .pause: return stop(.pause, &state)
        case .halt: return stop(.halt, &state)
        case .shutdown: return stop(.shutdown, &state)
        }
    }

    private func stop(_ code: ExitCode, _ state: inout VirtualCPUState) -> Progress {
        state.budget -= 1
        return .outcomeAndExit(.done, GuestExit(code))
    }

    /// Executes a step of one instruction.
    private func once(
        _ state: inout VirtualCPUState, _ body: () throws(GuestInstructionFailure) -> StepOutcome
    ) -> Progress {
        state.budget -= 1
        do throws(GuestInstructionFailure) { return .outcome(try body()) } catch { return Self.progress(after: error) }
    }

    /// What a failed instruction leads to.
    static func progress(after failure: GuestInstructionFailure) -> Progress {
        switch failure {
        case .status(let status): .outcome(.status(status))
        case .fault(let fault): progress(after: fault)
        }
    }

    /// What a faulting access leads to.
    static func progress(after fault: GuestFault) -> Progress {
        switch fault.delivery {
        case .exit(let exit): .exit(exit)
        case .communicationException(let code): .outcome(.exception(code))
        }
    }

    private func finish(_ step: GuestStep, _ outcome: StepOutcome) {
        let result = StepResult(step: UInt32(position), pagesDone: progress, exits: exits, outcome: outcome)
        transcript.stepCount += 1
        if keepsResults { transcript.results.append(result) }
        position += 1
        progress = 0
        exits = 0
        awaitsAnswer = false
        repeatsRequest = false
        sealedMessage = nil
        if case .terminate = step.operation { position = script.steps.count }
        guard !step.expectation.accepts(outcome) else { return }
        transcript.failures.append(result)
        if !continuesAfterFailure { position = script.steps.count }
    }
}
