// Stands between VMRUN and a processor: counts what the guest stops for, and writes it down if asked.

internal import Machine
internal import Processor
internal import SNPArchitecture

/// A processor whose exits are counted and traced.
final class TracingProcessor: GuestProcessor {
    let processor: X86Processor
    private let vcpu: Int
    private let isTraced: Bool
    private(set) var exits: [ExitCode: UInt64] = [:]
    private(set) var lines: [String] = []
    /// The registers at the last exit.
    private(set) var last = VMSA()
    private(set) var lastExit = GuestExit(.invalid)
    /// The guest has halted and waits for an event; entering it again runs nothing.
    private(set) var isWaiting = false

    init(_ processor: X86Processor, vcpu: Int, isTraced: Bool) {
        self.processor = processor
        self.vcpu = vcpu
        self.isTraced = isTraced
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
        if isTraced { note("kvm_entry: vcpu \(vcpu), rip 0x\(String(state.registers.rip, radix: 16))") }
        let exit = processor.run(&state, memory, interruptedBy: interrupt)
        exits[exit.code, default: 0] += 1
        last = state.registers
        lastExit = exit
        isWaiting = exit.code == .halt
        if isTraced {
            note(
                "kvm_exit: vcpu \(vcpu) reason \(exit.code) rip 0x\(String(state.registers.rip, radix: 16)) info1 "
                    + "0x\(String(exit.info1, radix: 16)) info2 0x\(String(exit.info2, radix: 16)) ghcb "
                    + "0x\(String(state.ghcb, radix: 16))")
        }
        return exit
    }

    /// Adds a line at the guest's own time.
    func note(_ text: String) {
        guard isTraced else { return }
        let count = String(processor.counts.instructions)
        let time = String(repeating: "0", count: max(0, 12 - count.count)) + count
        lines.append("vcpu-\(vcpu) [\(time)] \(text)")
    }

    /// The registers at the last exit, for a guest that died.
    var autopsy: String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let r = last
        var lines = ["vcpu \(vcpu): last exit \(lastExit.code), CPL \(r.cpl)"]
        for row in [
            [("rip", r.rip), ("rflags", r.rflags), ("cr2", r.cr2), ("cr3", r.cr3)],
            [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx), ("rdx", r.rdx)],
            [("rsi", r.rsi), ("rdi", r.rdi), ("rbp", r.rbp), ("rsp", r.rsp)],
            [("r8", r.r8), ("r9", r.r9), ("r10", r.r10), ("r11", r.r11)],
            [("r12", r.r12), ("r13", r.r13), ("r14", r.r14), ("r15", r.r15)],
            [("cr0", r.cr0), ("cr4", r.cr4), ("efer", r.efer), ("idt", r.idtr.base)],
        ] {
            lines.append(
                "  "
                    + row.map { String(repeating: " ", count: 6 - $0.0.count) + "\($0.0) \(hex($0.1))" }.joined(
                        separator: " "))
        }
        let exceptions = processor.counts.exceptions.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        lines.append("  exceptions by vector: " + (exceptions.isEmpty ? "none" : exceptions.joined(separator: ", ")))
        let undefined = processor.counts.undefined.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }
        if !undefined.isEmpty { lines.append("  undefined instructions: " + undefined.joined(separator: "; ")) }
        return lines.joined(separator: "\n")
    }
}
