// Stands between VMRUN and a processor: counts what the guest stops for, tells the recorder, and keeps what an explanation of
// the guest's death needs.

internal import Machine
internal import Processor
internal import SNPArchitecture

/// A processor whose exits are counted and traced.
final class TracingProcessor: GuestProcessor {
    let processor: X86Processor
    let vcpu: UInt32
    private let recorder: RunRecorder
    /// Where to look closely, if the run is repeated to see a guest's last instructions.
    private let retrace: Retrace?
    private(set) var exits: [ExitCode: UInt64] = [:]
    /// The registers at the last exit.
    private(set) var last = VMSA()
    private(set) var lastExit = GuestExit(.invalid)
    private(set) var lastGHCB: UInt64 = 0
    private(set) var fault = RepeatedFault()
    /// The way to memory at the last exit.
    private(set) var memory: GuestAccess?
    /// The guest has halted and waits for an event; entering it again runs nothing.
    private(set) var isWaiting = false

    init(_ processor: X86Processor, vcpu: UInt32, recorder: RunRecorder, retrace: Retrace?) {
        self.processor = processor
        self.vcpu = vcpu
        self.recorder = recorder
        self.retrace = retrace
    }

    func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        // A halted processor goes on with an event, or as another one: with a VMSA that the guest has given it since.
        if isWaiting, !state.event.isValid, state.registers.rip == last.rip, state.registers.rsp == last.rsp {
            // Its turn passes.
            state.budget = 0
            return GuestExit(.interrupt)
        }
        isWaiting = false
        if recorder.isTraced { noteEntry(state, memory) }
        recorder.entered(vcpu)
        let exit =
            retrace?.run(processor, vcpu, &state, memory, interrupt)
            ?? processor.run(&state, memory, interruptedBy: interrupt)
        recorder.left(vcpu, exit, ghcb: state.ghcb)
        exits[exit.code, default: 0] += 1
        last = state.registers
        lastExit = exit
        lastGHCB = state.ghcb
        self.memory = memory
        isWaiting = exit.code == .halt
        if exit.code == .nestedPageFault { note(fault: exit, &state) }
        if recorder.isTraced { noteExit(exit, state, memory) }
        return exit
    }

    /// Counts a nested page fault. One that does not go away ends the turn: the others may mend it.
    private func note(fault exit: GuestExit, _ state: inout VirtualCPUState) {
        fault.note(
            exit, instructions: processor.counts.instructions, changes: recorder.changes(notBy: vcpu))
        if fault.isUnusual { state.budget = 0 }
    }

    private func noteEntry(_ state: VirtualCPUState, _ memory: GuestAccess) {
        if lastExit.code == .vmgexit, self.memory != nil {
            recorder.note("reply", vcpu: vcpu, DecodedReply(ghcb: state.ghcb, memory).fields)
        }
        let event = state.event
        if event.isValid {
            recorder.note(
                "inject", vcpu: vcpu,
                [("vector", String(event.vector)), ("kind", event.kind.map { "\($0)" } ?? "unknown")]
                    + (event.errorCode.map { [("error", hexadecimal(UInt64($0)))] } ?? []))
        }
        recorder.note("entry", vcpu: vcpu, [("rip", hexadecimal(state.registers.rip))])
    }

    private func noteExit(_ exit: GuestExit, _ state: VirtualCPUState, _ memory: GuestAccess) {
        recorder.note(
            "exit", vcpu: vcpu,
            [
                ("reason", exit.code.description), ("rip", hexadecimal(state.registers.rip)),
                ("info1", hexadecimal(exit.info1)), ("info2", hexadecimal(exit.info2)),
            ])
        switch exit.code {
        case .vmgexit: recorder.note("vmgexit", vcpu: vcpu, DecodedVMGEXIT(ghcb: state.ghcb, memory).fields)
        case .nestedPageFault:
            recorder.note(
                "fault", vcpu: vcpu,
                [
                    ("gpa", hexadecimal(exit.info2)), ("error", hexadecimal(exit.info1)),
                    ("bits", PageFaultError(rawValue: exit.info1).words),
                ])
        default: break
        }
    }
}

extension PageFaultError {
    /// The names of the bits that are set.
    var words: String {
        let names: [(Self, String)] = [
            (.present, "P"), (.write, "W"), (.user, "U"), (.reserved, "RSV"), (.instructionFetch, "ID"), (.rmp, "RMP"),
            (.finalAddress, "FINAL"), (.guestPageTable, "TABLE"), (.encrypted, "ENC"), (.sizeMismatch, "SIZEM"),
            (.vmpl, "VMPL"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: "|")
    }
}
