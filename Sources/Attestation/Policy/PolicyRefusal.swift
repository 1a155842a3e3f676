// Why a verifier's policy refuses a report that is otherwise genuine.

/// Which TCB version of a report a refusal is about.
public enum ReportTCB: String, CaseIterable, Sendable {
    /// REPORTED_TCB.
    case reported
    /// CURRENT_TCB.
    case current
    /// COMMITTED_TCB.
    case committed
    /// LAUNCH_TCB.
    case launch
}

/// Why a policy refuses a report.
public enum PolicyRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The guest lets the host debug it.
    case debugAllowed
    /// The guest lets the host run with SMT.
    case smtAllowed
    /// The host runs with SMT.
    case smtEnabled
    /// The guest may be bound to a migration agent.
    case migrationAgentAllowed
    /// The request named a VMPL with fewer rights.
    case vmpl(found: UInt32, maximum: UInt32)
    /// The guest's security version is too low.
    case guestSVN(found: UInt32, minimum: UInt32)
    /// A part of a TCB version is too low.
    case tcb(ReportTCB, TCBPart, found: UInt8, minimum: UInt8)
    /// The measurement is none of those expected.
    case measurement
    /// The report data are not those expected.
    case reportData
    /// The host data are not those expected.
    case hostData
    /// The family id is not the one expected.
    case familyID
    /// The image id is not the one expected.
    case imageID
    /// The digest of the ID key is none of those expected.
    case idKey
    /// The policy asks for an author key, and there is none.
    case noAuthorKey
    /// The digest of the author key is none of those expected.
    case authorKey

    /// The cause in words.
    public var description: String {
        switch self {
        case .debugAllowed: "the guest's policy allows debugging"
        case .smtAllowed: "the guest's policy allows simultaneous multithreading"
        case .smtEnabled: "the platform runs with simultaneous multithreading"
        case .migrationAgentAllowed: "the guest's policy allows a migration agent"
        case .vmpl(let found, let maximum): "the report is for VMPL \(found); at most \(maximum) is accepted"
        case .guestSVN(let found, let minimum): "the guest's SVN is \(found); at least \(minimum) is asked for"
        case .tcb(let which, let part, let found, let minimum):
            "the \(which.rawValue) TCB's \(part.rawValue) level is \(found); at least \(minimum) is asked for"
        case .measurement: "the measurement is none of those expected"
        case .reportData: "the report data are not those expected"
        case .hostData: "the host data are not those expected"
        case .familyID: "the family id is not the one expected"
        case .imageID: "the image id is not the one expected"
        case .idKey: "the ID key's digest is none of those expected"
        case .noAuthorKey: "the ID key was not signed by an author key"
        case .authorKey: "the author key's digest is none of those expected"
        }
    }
}
