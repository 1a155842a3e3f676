// Tells whoever asks of every change of the RMP: traces and explanations. Costs one branch while nobody asks.

public import CPlatform
public import SNPArchitecture
internal import Synchronization

/// Something that changed an RMP entry, or tried to.
public enum RMPChange: Hashable, Sendable {
    /// RMPUPDATE of the host.
    case rmpUpdate(SPA, RMPUpdateState)
    /// PSMASH of the host.
    case psmash(SPA)
    /// PVALIDATE of a guest.
    case pvalidate(GuestPage, PageSize, validate: Bool, asid: ASID, vmpl: VMPL)
    /// RMPADJUST of a guest.
    case rmpAdjust(GuestPage, PageSize, target: VMPL, VMPLPermissions, vmsa: Bool, asid: ASID, vmpl: VMPL)
    /// Firmware writes an entry.
    case firmwareWrite(PFN, RMPEntry)
    /// Firmware makes 512 entries one.
    case firmwareUnsmash(PFN)
    /// Firmware clears the table.
    case firmwareClear
}

/// How such a change ended.
public enum RMPOutcome: Hashable, Sendable {
    /// Done.
    case done
    /// PVALIDATE found the page as it was to be: CF.
    case unchanged
    /// Refused with a status.
    case refused(RMPStatus)
    /// A fault.
    case fault(GuestFault)
}

/// Whom to tell of changes.
@safe public final class RMPWatch: @unchecked Sendable {
    private struct Hook {
        var observe: (@Sendable (RMPChange, RMPOutcome) -> Void)?
    }
    private let hook = Mutex(Hook())
    @usableFromInline let armed: UnsafeMutablePointer<UInt8>

    init() {
        unsafe armed = .allocate(capacity: 1)
        unsafe armed.pointee = 0
    }

    deinit { unsafe armed.deallocate() }

    /// Tells `observe` of each change, after it, on the thread that made it. It must not change the RMP. Nil disarms.
    ///
    /// - Deviates: marking a VMSA as in use for the time of a VMRUN is not told
    public func set(_ observe: (@Sendable (RMPChange, RMPOutcome) -> Void)?) {
        hook.withLock { $0.observe = observe }
        unsafe cp_store_relaxed_u8(armed, observe == nil ? 0 : 1)
    }

    /// Whether anybody asks.
    @inlinable @inline(__always) var isArmed: Bool { unsafe cp_load_relaxed_u8(armed) != 0 }

    @inline(never) func tell(_ change: RMPChange, _ outcome: RMPOutcome) {
        let observe = hook.withLock { $0.observe }
        observe?(change, outcome)
    }
}

extension ReverseMapTable {
    /// Makes a host's change and tells of it.
    @inline(__always) func watched(
        _ change: @autoclosure () -> RMPChange, _ body: () throws(RMPStatus) -> Void
    ) throws(RMPStatus) {
        guard watch.isArmed else { return try body() }
        do throws(RMPStatus) { try body() } catch {
            watch.tell(change(), .refused(error))
            throw error
        }
        watch.tell(change(), .done)
    }

    /// Makes a guest's change and tells of it.
    @inline(__always) func watched(
        _ change: @autoclosure () -> RMPChange, _ body: () throws(GuestInstructionFailure) -> Bool
    ) throws(GuestInstructionFailure) -> Bool {
        guard watch.isArmed else { return try body() }
        do throws(GuestInstructionFailure) {
            let changed = try body()
            watch.tell(change(), changed ? .done : .unchanged)
            return changed
        } catch {
            switch error {
            case .status(let status): watch.tell(change(), .refused(status))
            case .fault(let fault): watch.tell(change(), .fault(fault))
            }
            throw error
        }
    }
}
