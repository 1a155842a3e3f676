// The page states of the firmware's table, derived from an RMP entry.

/// The state of a page as firmware names it. The first row of its table that matches an entry gives the state.
///
/// - Spec: FWABI 56860, "Page states"
public enum PageState: String, CaseIterable, Sendable, CustomStringConvertible {
    /// Owned by the hypervisor: assigned 0.
    case hypervisor = "Hypervisor"
    /// The hypervisor may use it; RMPUPDATE refuses it.
    case hypervisorFixed = "HV-Fixed"
    /// Usable by firmware as a buffer.
    case firmware = "Firmware"
    /// Given back by firmware, to be unassigned by the hypervisor.
    case reclaim = "Reclaim"
    /// Holds a guest context.
    case context = "Context"
    /// Holds swap metadata.
    case metadata = "Metadata"
    /// Assigned to a guest and immutable, not validated.
    case preGuest = "Pre-Guest"
    /// Assigned to a guest, immutable and validated.
    case preSwap = "Pre-Swap"
    /// Assigned to a guest, not validated.
    case guestInvalid = "Guest-Invalid"
    /// Assigned to a guest and validated.
    case guestValid = "Guest-Valid"
    /// An IOMMU buffer in firmware's hands.
    case firmwareIOMMU = "Firmware-IOMMU"
    /// No entry: the address lies beyond the RMP.
    case `default` = "Default"
    /// No row matches.
    case invalid = "Invalid"

    /// Derives the state of an entry.
    public init(_ entry: RMPEntry) {
        let kind = entry.gfn.rawValue >> 36 & 7
        let frame = entry.gfn.rawValue & 0xf_ffff_ffff
        switch (entry.assigned, entry.validated, entry.asid == .host, entry.immutable) {
        case (false, false, true, false): self = .hypervisor
        case (false, false, true, true): self = .hypervisorFixed
        case (true, false, true, true):
            if entry.gfn.rawValue == 0 {
                self = entry.vmsa ? .context : .firmware
            } else if kind == 1 && frame > 0 {
                self = .metadata
            } else if kind == 2 && frame == 1 && !entry.vmsa {
                self = .firmwareIOMMU
            } else {
                self = .invalid
            }
        case (true, false, true, false): self = entry.locked ? .invalid : .reclaim
        case (true, false, false, true): self = .preGuest
        case (true, true, false, true): self = .preSwap
        case (true, false, false, false): self = .guestInvalid
        case (true, true, false, false): self = .guestValid
        case (true, true, true, _), (false, true, _, _), (false, false, false, _): self = .invalid
        }
    }

    /// The name in the firmware ABI document.
    public var description: String { rawValue }
}
