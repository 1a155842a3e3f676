// A virtual CPU as the kernel sees it: what the launch needs of one, and what is kept between two runs.

public import Machine
public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// A virtual CPU.
///
/// `lock` is held for as long as `run` lasts and guards everything that is not said to be another lock's. Other threads
/// reach a running virtual CPU through `requests` and the interrupt line only.
public final class VirtualCPU: @unchecked Sendable {
    /// KVM's number for it, and its APIC identifier.
    public let id: UInt32
    /// The state that launch encrypts.
    public var initialState: VMSA
    /// The frame of the VMSA that launch made. Guarded by the machine's `slotsLock`.
    var vmsaFrame: PFN? { didSet { noteChange() } }

    /// The frame of the guest's own VMSA while it is in the guest with it. Guarded by the nested tables' lock.
    var enteredVMSA: GFN?

    /// The machine; gone once nobody holds it.
    weak var machine: VirtualMachine?
    let lock: Lock
    /// What it runs on, once a processor is attached.
    var thread: HardwareThread?
    /// Stops the guest for requests.
    let interrupt = InterruptLine()
    /// What others want of it.
    let requests = Mutex(Requests())

    /// Whether it can run guest code.
    var state: MultiprocessorState
    /// Which VMSA it runs.
    var vmsaSource = VMSASource.launched
    /// The GHCB MSR, VMCB offset 0A0.
    var ghcb = VirtualCPU.resetGHCB
    /// What the host keeps for the guest's requests.
    var ghcbState = GHCBState()
    /// A SIPI has come since the reset hold began.
    var sipiHasCome = false
    /// An event for the next entry.
    var eventInjection = EventInjection.none
    /// What is known of interrupts.
    var interruptState = InterruptState()
    /// What collects interrupts for it, if user space has not a way of its own.
    var interruptController: (any LocalInterruptController)?
    /// TSC_OFFSET.
    var timeStampOffset: UInt64 = 0
    /// What the next entry does with the TLB.
    var tlbControl = TLBControl.none
    /// What to do with user space's reply before the guest goes on (Linux: `complete_userspace_io`).
    var completion: ((VirtualCPU, UserReply) -> ExitDisposition)?
    /// User space's reply to the last exit, preset to what leaves the guest unharmed.
    let pendingReply = Mutex(UserReply.none)

    init(id: UInt32, initialState: VMSA, of machine: VirtualMachine) {
        self.id = id
        self.initialState = initialState
        self.machine = machine
        lock = Lock(.virtualCPU, label: "\(id)")
        state = id == 0 ? .runnable : .uninitialized
    }

    /// The GHCB MSR at reset: a SEV information response with versions 2 to 1 and the C-bit's position, 51.
    ///
    /// - Spec: GHCB 56421, "SEV Information"
    static let resetGHCB: UInt64 = 2 << 48 | 1 << 32 | 51 << 24 | 0x001

    /// Gives the virtual CPU what executes its guest code. Not while it runs.
    public func attach(_ processor: any GuestProcessor) {
        lock.withLock { thread = HardwareThread(processor, interrupt: interrupt) }
    }

    // MARK: User space's side

    /// Fills in the reply to the last exit, as a VMM does in `kvm_run` before the next run. An exit that needs none, or a
    /// reply of the wrong kind, leaves it without effect.
    public func reply(_ reply: UserReply) {
        pendingReply.withLock { $0 = reply }
        noteChange()
    }

    /// Presets the reply and hands an exit to user space. A run that ends before it has taken the last reply leaves that to
    /// the next run.
    func hand(_ exit: UserExit) -> UserExit {
        let defects = machine?.host.defects ?? []
        let isEarly = completion != nil && (exit == .interrupted || exit == .halted)
        guard !isEarly || defects.has(.answerForgotten) else { return exit }
        if !defects.has(.replyNotPreset) { pendingReply.withLock { $0 = exit.presetReply } }
        return exit
    }

    /// The reply. It stays until the next exit presets another.
    func takeReply() -> UserReply { pendingReply.withLock { $0 } }
}

/// Which VMSA a virtual CPU runs.
enum VMSASource: Hashable {
    /// The one that launch made.
    case launched
    /// The guest's own, at this frame.
    case guest(GFN)
    /// None: the guest has destroyed it.
    case none
}

/// What the kernel does after an exit.
enum ExitDisposition {
    /// The guest goes on, if the virtual CPU can still run.
    case resume
    /// User space has to do something.
    case exit(UserExit)
}
