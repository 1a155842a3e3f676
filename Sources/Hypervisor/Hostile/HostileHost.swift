// A hostile host's mind: what it decides, what it remembers for later, what it has done. Only machines whose personality is
// hostile have one; for all others each place that asks is one look at nil.

internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// What a hostile host has done.
public struct HostileRecord: Sendable {
    /// How often it carried out each attack.
    public var counts: [HostileAttack: UInt64] = [:]
    /// How many private pages were compared around attacks on memory.
    public var comparedPageCount: UInt64 = 0
    /// Private pages that a guest would have read with other contents than it wrote, in words. Empty unless the machine's
    /// rules are broken, or the guest has accepted a page twice.
    public var corruptions: [String] = []

    /// How many attacks were carried out.
    public var attackCount: UInt64 { counts.values.reduce(0, +) }
}

/// The hostile part of one machine's host.
final class HostileHost: Sendable {
    struct State {
        var entropy: EntropySource
        var record = HostileRecord()
        /// An older GHCB of each virtual CPU.
        var pages: [UInt32: [UInt8]] = [:]
        /// Firmware's last answer.
        var message: [UInt8]?
        /// VMSAs that the guest has handed over.
        var vmsas: [GPA] = []
        /// Frames that were kept when others took their place, still assigned and validated.
        var kept: [GFN: PFN] = [:]
        /// What the guest last read from a page that was remapped.
        var contents: [GFN: [UInt8]] = [:]
        /// Guest frames that are mapped to other pages' frames.
        var aliased: Set<GFN> = []
    }

    let hostility: Hostility
    private let state: Mutex<State>

    init(_ hostility: Hostility) {
        self.hostility = hostility
        state = Mutex(State(entropy: EntropySource(seed: hostility.seed)))
    }

    var record: HostileRecord { state.withLock { $0.record } }

    func withState<R: Sendable>(_ body: (inout State) -> sending R) -> R { state.withLock { body(&$0) } }

    /// Whether it takes an opportunity. One that it cannot use afterwards is not counted.
    func wants(_ attack: HostileAttack) -> Bool {
        hostility.attacks.contains(attack)
            && (hostility.interval == 1 || state.withLock { $0.entropy.next() % hostility.interval == 0 })
    }

    /// Takes an opportunity that cannot fail.
    func strikes(_ attack: HostileAttack) -> Bool {
        guard wants(attack) else { return false }
        count(attack)
        return true
    }

    func count(_ attack: HostileAttack) {
        noteChange()
        state.withLock { $0.record.counts[attack, default: 0] += 1 }
    }

    /// A number below a limit that is not 0.
    func draw(below limit: UInt64) -> UInt64 { state.withLock { $0.entropy.next() % limit } }

    /// Any number.
    func draw() -> UInt64 { state.withLock { $0.entropy.next() } }

    func checkpoint() -> Checkpoint {
        let saved = state.withLock { $0 }
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in state.withLock { $0 = saved } }
        return checkpoint
    }
}

extension GHCBPersonality {
    /// A host that answers as `kvm2026` does, and attacks its guest.
    ///
    /// - Spec: GHCB 56421, what it leaves to the guest; APM2 15.36.10 for what no host can do
    public static func hostile(_ hostility: Hostility = Hostility()) -> GHCBPersonality {
        var host = kvm2026
        host.name = "hostile"
        host.hostility = hostility
        return host
    }
}

extension VirtualMachine {
    /// What a hostile host has done to this machine; nil if its host is none.
    public var hostileRecord: HostileRecord? { ghcb.current.hostile?.record }

    /// Takes back what a hostile host has mapped against its own books, so that invariants can be checked. Between runs.
    public func endHostilities() { ghcb.current.hostile?.withdraw(from: self) }
}
