// How guest code ends a run, and what a fault of it becomes: an exit to the hypervisor or an exception inside the guest.

public import SNPArchitecture

/// Why guest code stopped, with what the VMCB will say about it.
@frozen public struct GuestExit: Hashable, Sendable {
    /// EXITCODE.
    public var code: ExitCode
    /// EXITINFO1.
    public var info1: UInt64
    /// EXITINFO2.
    public var info2: UInt64
    /// EXITINTINFO.
    public var interruptInfo: EventInjection
    /// nRIP.
    public var nextRIP: UInt64

    /// Makes an exit.
    @inlinable public init(
        _ code: ExitCode, info1: UInt64 = 0, info2: UInt64 = 0, interruptInfo: EventInjection = .none,
        nextRIP: UInt64 = 0
    ) {
        self.code = code
        self.info1 = info1
        self.info2 = info2
        self.interruptInfo = interruptInfo
        self.nextRIP = nextRIP
    }
}

/// What the processor does with a fault of a guest access.
@frozen public enum FaultDelivery: Hashable, Sendable {
    /// The guest stops; the instruction has not begun.
    case exit(GuestExit)
    /// #VC with this error code inside the guest.
    case communicationException(ExitCode)
}

extension GuestFault {
    /// What the processor does with the fault: #NPF is an exit, but for a reserved bit, with which the host marks a device's
    /// page; that and PAGE_NOT_VALIDATED are #VC.
    ///
    /// - Spec: APM2 15.35.5 (automatic and non-automatic exits), 15.36.10; GHCB 56421, "MMIO access"
    @inlinable public var delivery: FaultDelivery {
        switch self {
        case .pageNotValidated: .communicationException(.pageNotValidated)
        case .nestedPageFault(_, let error) where error.contains(.reserved): .communicationException(.nestedPageFault)
        case .nestedPageFault(let gpa, let error):
            .exit(GuestExit(.nestedPageFault, info1: error.rawValue, info2: gpa.rawValue))
        }
    }
}
