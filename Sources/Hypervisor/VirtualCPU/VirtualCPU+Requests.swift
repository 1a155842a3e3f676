// What other threads ask of a virtual CPU: to stop, to start, to take another VMSA. It acts on that itself, in its run.

internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// Whether a virtual CPU can run, with KVM's numbers.
///
/// - Spec: KVMAPI, KVM_GET_MP_STATE
public enum MultiprocessorState: UInt32, Sendable {
    /// KVM_MP_STATE_RUNNABLE.
    case runnable = 0
    /// KVM_MP_STATE_UNINITIALIZED: an application processor that waits for INIT and SIPI.
    case uninitialized = 1
    /// KVM_MP_STATE_HALTED: its VMSA is destroyed or not there.
    case halted = 3
    /// KVM_MP_STATE_AP_RESET_HOLD: it waits in the guest's own protocol for a SIPI.
    case apResetHold = 9
}

extension VirtualCPU {
    /// What others want of a virtual CPU.
    struct Requests {
        /// Return to user space.
        var leavesGuest = false
        /// Start, by SIPI.
        var isStarted = false
        /// Take this VMSA now: a guest frame, or none.
        var newVMSA: GFN??
        /// Take this VMSA at the next INIT.
        var vmsaAtInit: GFN??
        /// Take an NMI.
        var hasNonMaskable = false
        /// KVM_SET_MP_STATE.
        var newState: MultiprocessorState?
    }

    /// Makes the current run, or the next, return `.interrupted`, as a signal to the VMM's thread does.
    public func interruptRun() { request { $0.leavesGuest = true } }

    /// KVM_SET_MP_STATE. It takes effect at the next entry.
    public func setState(_ state: MultiprocessorState) { request { $0.newState = state } }

    /// INIT from another virtual CPU: only a VMSA that was given for this moment takes effect, as the host cannot reset
    /// registers that it cannot see.
    ///
    /// - Spec: GHCB 56421, "SNP AP Creation"; Linux: `svm_vcpu_reset()`
    public func deliverInit() {
        request { requests in
            if let next = requests.vmsaAtInit { requests.newVMSA = next }
            requests.vmsaAtInit = nil
        }
    }

    /// SIPI from another virtual CPU. The first starts the launched state unchanged, whatever the vector; later ones only end
    /// a reset hold.
    ///
    /// - Spec: GHCB 56421, "AP Reset Hold"; Linux: `sev_vcpu_deliver_sipi_vector()`
    public func deliverSIPI() { request { $0.isStarted = true } }

    /// Asks for something and gets the virtual CPU out of the guest, so that it sees it.
    func request(_ change: (inout Requests) -> Void) {
        requests.withLock { change(&$0) }
        interrupt.raise()
        noteChange()
    }

    /// Gets the virtual CPU out of the guest and waits until no run is under way. The machine is dead or destroyed, so that it
    /// does not enter again.
    func waitUntilOutside() {
        interrupt.raise()
        lock.withLock {}
    }

    /// Acts on what was asked. Returns true if user space wants the run to end.
    func serveRequests(of machine: VirtualMachine) -> Bool {
        // Lowered first: what is asked for later raises it again.
        interrupt.lower()
        let asked = requests.withLock { requests in
            defer { requests = Requests(vmsaAtInit: requests.vmsaAtInit) }
            return requests
        }
        if let state = asked.newState {
            self.state = state
            interruptState.isHalted = false
        }
        if asked.hasNonMaskable { takeNonMaskable() }
        if asked.isStarted, state == .uninitialized || state == .apResetHold {
            state = .runnable
            sipiHasCome = true
        }
        if let vmsa = asked.newVMSA { takeVMSA(vmsa, of: machine) }
        return asked.leavesGuest
    }
}
