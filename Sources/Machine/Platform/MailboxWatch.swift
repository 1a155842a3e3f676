// Tells whoever asks of every command of the mailbox: traces and explanations.

public import SNPArchitecture
internal import Synchronization

/// A moment in a command's life.
public enum MailboxMoment: Hashable, Sendable {
    /// Firmware begins with it; its buffer is at the address.
    case begins(FirmwareCommand, buffer: SPA)
    /// Firmware, or a fault on request, has given this status.
    case ends(FirmwareCommand, FirmwareStatus)
    /// No answer: a fault on request.
    case silence(FirmwareCommand)
}

/// Whom to tell of commands. Costs one load while nobody asks.
public final class MailboxWatch: Sendable {
    private struct Hook {
        var observe: (@Sendable (MailboxMoment) -> Void)?
    }
    private let hook = Mutex(Hook())
    private let isArmed = Atomic<Bool>(false)

    init() {}

    /// Tells `observe` of each command, on the thread that sends it. Nil disarms.
    public func set(_ observe: (@Sendable (MailboxMoment) -> Void)?) {
        hook.withLock { $0.observe = observe }
        isArmed.store(observe != nil, ordering: .releasing)
    }

    func tell(_ moment: @autoclosure () -> MailboxMoment) {
        guard isArmed.load(ordering: .acquiring) else { return }
        let observe = hook.withLock { $0.observe }
        observe?(moment())
    }
}
