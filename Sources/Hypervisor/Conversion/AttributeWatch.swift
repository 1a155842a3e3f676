// Tells whoever asks of every call that changes memory attributes: traces and explanations.

public import SNPArchitecture
internal import Synchronization

/// A moment of a call of KVM_SET_MEMORY_ATTRIBUTES.
public enum AttributeMoment: Sendable {
    /// The call begins.
    case begins(GPA, byteCount: UInt64, MemoryAttribute)
    /// It has ended: what it took, and the error if it failed.
    case ends(ConversionCounts, Errno?)
}

/// Whom to tell of such calls on a host. Costs one load while nobody asks.
public final class AttributeWatch: Sendable {
    private struct Hook {
        var observe: (@Sendable (AttributeMoment) -> Void)?
    }
    private let hook = Mutex(Hook())
    private let isArmed = Atomic<Bool>(false)

    init() {}

    /// Tells `observe` of each call, on the thread that makes it. Nil disarms.
    public func set(_ observe: (@Sendable (AttributeMoment) -> Void)?) {
        hook.withLock { $0.observe = observe }
        isArmed.store(observe != nil, ordering: .releasing)
    }

    func tell(_ moment: @autoclosure () -> AttributeMoment) {
        guard isArmed.load(ordering: .acquiring) else { return }
        let observe = hook.withLock { $0.observe }
        observe?(moment())
    }
}
