// The AMD Secure Processor: it answers the mailbox, one command at a time.
//
// The class is only the door. The state is in `Firmware`, each command in a file of its own under `Commands/`.

public import Machine
public import SNPArchitecture
public import Scheduling
internal import Synchronization

/// The firmware of the AMD Secure Processor.
///
/// - Spec: FWABI 56860, at the behaviour of Genoa firmware 1.55
/// - Deviates: of the legacy SEV commands those of the platform exist; there are no legacy guests
public final class SecureProcessor: MailboxFirmware, Sendable {
    private let firmware: Mutex<Firmware>

    /// Boots the firmware on a machine. Connect it with `machine.mailbox.connect(_:)`.
    ///
    /// It holds the machine's parts, not the machine: the machine's mailbox holds the firmware.
    public init(machine: Machine, configuration: FirmwareConfiguration = FirmwareConfiguration()) {
        firmware = Mutex(Firmware(machine: machine, configuration: configuration))
    }

    /// Runs one command to its end and returns its status.
    public func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus {
        firmware.withLock { $0.execute(command, buffer: buffer) }
    }

    /// The firmware's state as it is now, for putting it back.
    public func checkpoint() -> Checkpoint {
        let saved = firmware.withLock { $0 }
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in firmware.withLock { $0 = saved } }
        return checkpoint
    }

    /// Gives tests and tools a look at, or a hand in, the firmware's state. Nothing on hardware corresponds to it.
    func withFirmware<R: Sendable>(_ body: @Sendable (inout Firmware) -> R) -> R { firmware.withLock { body(&$0) } }
}
