// Refusals that hardware and firmware could give, at chosen calls: it stands between the mailbox and the firmware.

internal import Machine
internal import SNPArchitecture
internal import SecureProcessor
internal import Synchronization

/// Refuses chosen calls of RMP instructions and firmware commands, in each run the same ones.
final class FaultSource: MailboxFirmware {
    private struct Rule {
        var calls: ClosedRange<Int>
        var count = 0
    }
    private struct Rules {
        var isArmed = false
        var instructions: [(RMPInstruction, RMPStatus, @Sendable (PFN) -> Bool, Rule)] = []
        var commands: [(FirmwareCommand, FirmwareStatus, Rule)] = []
    }
    private let rules = Mutex(Rules())
    private let firmware: SecureProcessor

    init(firmware: SecureProcessor) { self.firmware = firmware }

    /// Whether refusals happen; not while the world is built.
    var isArmed: Bool {
        get { rules.withLock { $0.isArmed } }
        set { rules.withLock { $0.isArmed = newValue } }
    }

    func refuse(
        _ instruction: RMPInstruction, calls: ClosedRange<Int>, with status: RMPStatus,
        where isMeant: @escaping @Sendable (PFN) -> Bool
    ) {
        rules.withLock { $0.instructions.append((instruction, status, isMeant, Rule(calls: calls))) }
    }

    func refuse(_ command: FirmwareCommand, calls: ClosedRange<Int>, with status: FirmwareStatus) {
        rules.withLock { $0.commands.append((command, status, Rule(calls: calls))) }
    }

    /// Starts counting anew.
    func rewind() {
        rules.withLock { rules in
            for index in rules.instructions.indices { rules.instructions[index].3.count = 0 }
            for index in rules.commands.indices { rules.commands[index].2.count = 0 }
        }
    }

    func decide(_ instruction: RMPInstruction, _ pfn: PFN) -> RMPStatus? {
        rules.withLock { rules in
            guard rules.isArmed else { return nil }
            for index in rules.instructions.indices where rules.instructions[index].0 == instruction {
                guard rules.instructions[index].2(pfn) else { continue }
                rules.instructions[index].3.count += 1
                let rule = rules.instructions[index].3
                if rule.calls.contains(rule.count) { return rules.instructions[index].1 }
            }
            return nil
        }
    }

    func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus {
        let refusal = rules.withLock { rules -> FirmwareStatus? in
            guard rules.isArmed else { return nil }
            for index in rules.commands.indices where rules.commands[index].0 == command {
                rules.commands[index].2.count += 1
                let rule = rules.commands[index].2
                if rule.calls.contains(rule.count) { return rules.commands[index].1 }
            }
            return nil
        }
        return refusal ?? firmware.execute(command, buffer: buffer)
    }
}
