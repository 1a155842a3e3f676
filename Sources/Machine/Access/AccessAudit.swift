// A second look at every completed write of the host and of devices: none may have landed in a validated page.

internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// Remembers writes that the RMP should have refused. Empty unless the access checks are broken.
public final class AccessAudit: Sendable {
    private let record = Mutex<[String]>([])

    init() {}

    /// What got through, in words.
    public var findings: [String] { record.withLock { $0 } }

    func checkpoint() -> Checkpoint {
        let saved = findings
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in record.withLock { if $0.count != saved.count { $0 = saved } } }
        return checkpoint
    }

    /// Notes a write that completed at a frame with this entry.
    func completedWrite(by whom: String, _ pfn: PFN, _ entry: RMPEntry?) {
        guard let entry, entry.assigned, entry.validated else { return }
        record.withLock { $0.append("\(whom) wrote frame \(pfn), validated by ASID \(entry.asid)") }
    }
}
