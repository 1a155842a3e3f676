// What the RMP instructions return in EAX.

/// Why an RMP instruction refused, as EAX has it; 0 is success and not a case.
///
/// - Spec: APM3, RMPUPDATE, PSMASH, PVALIDATE, RMPADJUST: return codes
@frozen public enum RMPStatus: UInt32, Error, CaseIterable, Sendable {
    /// FAIL_INPUT: an operand is unaligned, out of range or contradicts itself.
    case failInput = 1
    /// FAIL_PERMISSION: the entry is immutable, or the caller's VMPL may not.
    case failPermission = 2
    /// FAIL_INUSE: the entry is locked by another processor or by firmware.
    case failInUse = 3
    /// FAIL_OVERLAP: a 4 KiB and a 2 MiB entry would overlap.
    case failOverlap = 4
    /// FAIL_SIZEMISMATCH: the guest named 2 MiB and the entry is 4 KiB.
    case failSizeMismatch = 6

    /// The name in the manual.
    public var name: String {
        switch self {
        case .failInput: "FAIL_INPUT"
        case .failPermission: "FAIL_PERMISSION"
        case .failInUse: "FAIL_INUSE"
        case .failOverlap: "FAIL_OVERLAP"
        case .failSizeMismatch: "FAIL_SIZEMISMATCH"
        }
    }
}
