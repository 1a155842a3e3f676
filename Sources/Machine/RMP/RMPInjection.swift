// Makes RMP instructions fail on request: for tests, explorers and fuzzers. Costs one branch while nothing is asked.

public import CPlatform
public import SNPArchitecture
internal import Synchronization

/// An RMP instruction of the host.
public enum RMPInstruction: UInt8, Sendable {
    /// RMPUPDATE.
    case rmpUpdate
    /// PSMASH.
    case psmash
}

/// A source of failures that hardware could produce.
@safe public final class RMPInjection: @unchecked Sendable {
    /// In a structure: a closure that a generic lock holds by itself is wrapped once more at each access.
    private struct Hook {
        var decide: (@Sendable (RMPInstruction, PFN) -> RMPStatus?)?
    }
    private let hook = Mutex(Hook())
    @usableFromInline let armed: UnsafeMutablePointer<UInt8>

    init() {
        unsafe armed = .allocate(capacity: 1)
        unsafe armed.pointee = 0
    }

    deinit { unsafe armed.deallocate() }

    /// Asks `decide` before each instruction: a status makes the instruction fail with it and change nothing. Nil disarms.
    public func set(_ decide: (@Sendable (RMPInstruction, PFN) -> RMPStatus?)?) {
        hook.withLock { $0.decide = decide }
        unsafe cp_store_relaxed_u8(armed, decide == nil ? 0 : 1)
    }

    @inlinable @inline(__always) func failure(_ instruction: RMPInstruction, _ pfn: PFN) -> RMPStatus? {
        guard unsafe cp_load_relaxed_u8(armed) != 0 else { return nil }
        return decide(instruction, pfn)
    }

    @usableFromInline func decide(_ instruction: RMPInstruction, _ pfn: PFN) -> RMPStatus? {
        let decide = hook.withLock { $0.decide }
        return decide?(instruction, pfn)
    }
}
