// How far a machine's launch has come, and the errors of launch calls.

public import SNPArchitecture
internal import Scheduling

/// The launch of one machine. Changed under the slots' lock.
struct LaunchState {
    /// The guest's ASID, from SEV_INIT2 on.
    var asid: ASID?
    /// The pages through which guest requests go to firmware, from SEV_INIT2 on.
    var requestPages: GuestRequestPages?
    /// A DECOMMISSION failed: firmware may still hold the ASID, and nobody gets it again.
    var asidIsLost = false
    /// SEV_FEATURES of every VMSA, the SNP bit included.
    var vmsaFeatures: UInt64 = 0
    /// The guest's policy, from LAUNCH_START on.
    var policy: GuestPolicy = []
    /// The guest context page, from LAUNCH_START on.
    var context: PFN?
    /// Frames that LAUNCH_UPDATE has measured and that were not made shared or freed since (private means launched).
    let launched = MemoryAttributes()
    /// LAUNCH_FINISH has succeeded.
    var isFinished = false

    /// How far it has come, as a number. Which pages were launched is not part of it.
    func combine(into hasher: inout StateHasher) {
        hasher.combine((isFinished ? 1 : 0) | UInt64(asid?.rawValue ?? 0) << 8)
        hasher.combine(context?.rawValue ?? 0)
    }
}

/// What a SEV call of KVM_MEMORY_ENCRYPT_OP reports: an errno, and the firmware's status when firmware refused.
public struct SEVCommandError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The errno.
    public var errno: Errno
    /// `kvm_sev_cmd.error`; nil when firmware was not called.
    public var firmware: FirmwareStatus?

    /// Makes an error.
    public init(_ errno: Errno, _ firmware: FirmwareStatus? = nil) {
        self.errno = errno
        self.firmware = firmware
    }

    /// The errno, and the firmware's status in brackets.
    public var description: String { firmware.map { "\(errno) (firmware: \($0))" } ?? errno.description }

    /// What a failed firmware call becomes: EIO with the status, ETIMEDOUT and then EBUSY for firmware that
    /// does not answer, ENOMEM, EIO for a page.
    init(_ error: FirmwareError) {
        switch error {
        case .status(let status): self.init(.ioError, status)
        case .dead: self.init(Errno.busy)
        case .noMemory: self.init(Errno.noMemory)
        case .timedOut: self.init(Errno.timedOut)
        case .pageState, .notReclaimed: self.init(Errno.ioError)
        }
    }
}
