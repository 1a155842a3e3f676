// The last instructions of a guest that died. Nothing is recorded while it runs: runs repeat exactly, so the run is made once
// more, and stepped from block to block where it is about to end.

internal import Machine
internal import Processor
internal import SNPArchitecture

/// What to look at in the repetition of a run, and what was seen.
final class Retrace {
    /// A block that ran: where it began, and how many instructions had been completed before.
    struct Step {
        var rip: UInt64
        var instructions: UInt64
    }
    /// How many instructions before the end are looked at.
    static let depth: UInt64 = 48
    /// Runs of more instructions are not repeated.
    static let instructionLimit: UInt64 = 1 << 31
    /// How many instructions each virtual CPU completes in all.
    let totals: [UInt32: UInt64]
    /// What each virtual CPU did last.
    private(set) var steps: [UInt32: [Step]] = [:]

    init(totals: [UInt32: UInt64]) { self.totals = totals }

    /// Runs as the processor would, but from block to block near the end.
    func run(
        _ processor: X86Processor, _ vcpu: UInt32, _ state: inout VirtualCPUState, _ memory: GuestAccess,
        _ interrupt: InterruptLine
    ) -> GuestExit {
        let start = (totals[vcpu] ?? 0) - min(Self.depth, totals[vcpu] ?? 0)
        var left = state.budget
        while true {
            let before = processor.counts.instructions
            let isNear = before >= start
            if isNear { steps[vcpu, default: []].append(Step(rip: state.registers.rip, instructions: before)) }
            let piece = isNear ? 1 : min(left, max(1, start - before))
            let spent = Self.spent(processor)
            state.budget = piece
            let exit = processor.run(&state, memory, interruptedBy: interrupt)
            left -= min(left, Self.spent(processor) - spent)
            guard exit.code == .interrupt, left > 0, !interrupt.isRaised else {
                state.budget = left
                return exit
            }
        }
    }

    /// What a processor has spent of its budgets: one for each instruction, and one for each exception.
    private static func spent(_ processor: X86Processor) -> UInt64 {
        processor.counts.exceptions.values.reduce(processor.counts.instructions, &+)
    }
}
