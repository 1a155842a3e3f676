// What a VMM sets up before guests ask for anything, and what the host remembers of a guest's requests.

internal import Machine
public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// The settings and memory of one machine's GHCB protocol.
final class GHCBSettings: Sendable {
    struct State {
        var personality = GHCBPersonality.kvm2026
        /// KVM_CAP_EXIT_HYPERCALL: one bit for each hypercall that goes to user space.
        var hypercallExits: UInt64 = 0
        /// KVM_SEV_SNP_ENABLE_REQ_CERTS.
        var asksForCertificates = false
        /// The address that a guest left for the AP jump table.
        var apJumpTable: UInt64 = 0
        /// Whether a page state change goes to user space.
        var convertsOnRequest: Bool { hypercallExits >> GuestHypercall.mapRange.rawValue & 1 == 1 }
        /// The attacker, if the personality is hostile.
        var hostile: HostileHost?
    }

    private let state = Mutex(State())

    var current: State { state.withLock { $0 } }
    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
}

/// A kernel call that a guest makes with VMMCALL, or that a page state change stands for. An open set.
///
/// - Spec: Linux: Documentation/virt/kvm/x86/hypercalls.rst
@frozen public struct GuestHypercall: RawRepresentable, Hashable, Sendable {
    /// The number, in RAX.
    public var rawValue: UInt64
    /// Makes a call from its number.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// KVM_HC_VAPIC_POLL_IRQ: nothing but an exit.
    @inlinable public static var pollInterrupts: Self { Self(rawValue: 1) }
    /// KVM_HC_KICK_CPU.
    @inlinable public static var kick: Self { Self(rawValue: 5) }
    /// KVM_HC_SCHED_YIELD.
    @inlinable public static var yield: Self { Self(rawValue: 11) }
    /// KVM_HC_MAP_GPA_RANGE.
    @inlinable public static var mapRange: Self { Self(rawValue: 12) }
}

extension VirtualMachine {
    /// Which host answers this machine's guest.
    public var personality: GHCBPersonality { ghcb.current.personality }

    /// Chooses which host answers. Requests under way go on as they began.
    public func setPersonality(_ personality: GHCBPersonality) {
        ghcb.change {
            $0.personality = personality
            $0.hostile = personality.hostility.map(HostileHost.init)
        }
    }

    /// KVM_CAP_EXIT_HYPERCALL: sends hypercalls to user space. Without KVM_HC_MAP_GPA_RANGE no page can change its state.
    ///
    /// - Throws: EINVAL (a call other than KVM_HC_MAP_GPA_RANGE)
    public func enableHypercallExits(_ calls: [GuestHypercall] = [.mapRange]) throws(Errno) {
        guard calls.allSatisfy({ $0 == .mapRange }) else { throw .invalidArgument }
        ghcb.change { $0.hypercallExits = calls.reduce(0) { $0 | 1 << $1.rawValue } }
    }

    /// KVM_SEV_SNP_ENABLE_REQ_CERTS: asks user space for certificates at every extended request for a report.
    ///
    /// - Throws: in check order: EIO (dead), EINVAL (virtual CPUs exist, or not an SNP machine)
    public func enableCertificateRequests() throws(Errno) {
        try checkAlive()
        guard nested.lock.withLock({ virtualCPUs.isEmpty }), kind == .snp else { throw .invalidArgument }
        ghcb.change { $0.asksForCertificates = true }
    }

    /// Whether a page state change goes to user space.
    var convertsOnRequest: Bool { ghcb.current.convertsOnRequest }
}

/// What the host keeps of one virtual CPU for the GHCB protocol. Guarded by the virtual CPU's lock.
struct GHCBState {
    /// The registered GHCB.
    var registered: GFN?
    /// KVM_SET_CPUID2.
    var cpuid = GuestCPUID()
    /// The registers that the host emulates.
    var msrs = GuestMSRs()
    /// XCR0 and XSS as the guest last said.
    var xcr0: UInt64 = 1
    /// See `xcr0`.
    var xss: UInt64 = 0
    /// DR7, which hosts that emulate it keep.
    var dr7: UInt64 = 0x400
}

extension VirtualCPU {
    /// KVM_SET_CPUID2: what CPUID answers when the guest asks the host. Without it every function is zero.
    public func setCPUID(_ functions: [CPUIDFunction]) {
        lock.withLock { ghcbState.cpuid = GuestCPUID(functions) }
    }
}
