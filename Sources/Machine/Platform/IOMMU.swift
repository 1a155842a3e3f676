// What SNP initialisation sees of the IOMMUs: where their buffers lie, and whether they check the RMP.
//
// Device tables and address translation are left out: a device names frames.

public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// The machine's IOMMUs, as one.
public final class IOMMU: Sendable {
    private struct State {
        var buffers: [Range<PFN>]
        var snpIsEnabled = false
    }
    private let state: Mutex<State>
    /// What the kernel finds.
    public let kind: IOMMUKind

    init(_ kind: IOMMUKind, buffers: [Range<PFN>]) {
        self.kind = kind
        state = Mutex(State(buffers: buffers))
    }

    func checkpoint() -> Checkpoint {
        let saved = state.withLock { $0 }
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in state.withLock { $0 = saved } }
        return checkpoint
    }

    /// The pages of event logs, completion-wait buffers and PPR logs, as the registers name them.
    public var buffers: [Range<PFN>] {
        get { state.withLock { $0.buffers } }
        set { state.withLock { $0.buffers = newValue } }
    }

    /// The IOMMUs were told that SNP is on. Firmware sets it at SNP_INIT and clears it at SNP_SHUTDOWN_EX.
    ///
    /// - Deviates: accesses of devices are checked against the RMP whatever this says
    public var snpIsEnabled: Bool {
        get { state.withLock { $0.snpIsEnabled } }
        set { state.withLock { $0.snpIsEnabled = newValue } }
    }
}
