// What the host knows of SNP on this machine: whether it is on, whether firmware is initialised, what firmware holds for it.

internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// The state of SNP on a host. The one piece of the host's state that initialisation, shutdown and the driver share.
final class SNPSwitch: Sendable {
    struct State: Hashable {
        /// Linux's `CC_ATTR_HOST_SEV_SNP`: the RMP is usable and enforced. Stays while SYSCFG.SNP_EN does.
        var isOn = false
        /// Firmware has been initialised for SNP and not been shut down.
        var isInitialized = false
        /// Firmware's legacy half has been initialised.
        var legacyIsInitialized = false
        /// The first frame of firmware's trusted memory region, and its order.
        var tmr: PFN?
        var tmrOrder: UInt8 = 0
        /// 2 MiB regions that the direct map keeps small for the IOMMUs' pages, each by its first frame.
        var iommuRegions: [PFN] = []
    }
    private let state = Mutex(State())
    /// Initialisation, shutdown and the legacy platform: one at a time.
    let lock = Lock(.platform)

    /// `State.isOn` for those who ask often.
    private let onFlag = Atomic<Bool>(false)

    var current: State { state.withLock { $0 } }
    @inline(__always) var isOn: Bool { onFlag.load(ordering: .relaxed) }

    func change(_ body: (inout State) -> Void) {
        noteChange()
        state.withLock {
            body(&$0)
            onFlag.store($0.isOn, ordering: .relaxed)
        }
    }

    func checkpoint() -> Checkpoint {
        let saved = current
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            state.withLock { $0 = saved }
            onFlag.store(saved.isOn, ordering: .relaxed)
        }
        return checkpoint
    }

    func combine(into hasher: inout StateHasher) {
        let number = state.withLock { state -> UInt64 in
            (state.isOn ? 1 : 0) | (state.isInitialized ? 2 : 0) | (state.legacyIsInitialized ? 4 : 0)
                | (state.tmr?.rawValue ?? 0) << 8
        }
        hasher.combine(number)
    }
}

extension LockRank {
    /// SNP on and off, and legacy SEV: taken before the allocator's, the direct map's and the mailbox's locks.
    static let platform = LockRank(order: 450, name: "platform")
}
