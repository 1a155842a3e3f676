// Which event a virtual CPU enters the guest with, when it asks for an interrupt window, and what ends a halt.
//
// The host does not see RFLAGS of an SNP guest. It goes by the interrupt state that #VMEXIT leaves in the VMCB, and by the
// window that it asks for.

internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// What a virtual CPU keeps of interrupts between two entries. Guarded by its lock.
struct InterruptState: Hashable {
    /// KVM_INTERRUPT: a vector that waits.
    var queued: UInt8?
    /// NMIs that wait: at most two.
    var nonMaskableCount: UInt8 = 0
    /// An NMI has been injected, and the guest has not said that it is through with it.
    var isNonMaskableBlocked = false
    /// The next instruction is not interrupted.
    var isShadowed = false
    /// RFLAGS.IF at the last exit. Before the first one the guest has to be asked, by a window.
    var isEnabled = false
    /// CR8 at the last exit.
    var taskPriority: UInt8 = 0
    /// The guest waits in HLT.
    var isHalted = false

    /// Another VMSA: nothing is known of its flags.
    mutating func enterOtherState() {
        isShadowed = false
        isEnabled = false
        isHalted = false
    }
}

extension VirtualCPU {
    /// KVM_CREATE_IRQCHIP, for one virtual CPU: from now on it takes the controller's interrupts, its HLT waits for one, and
    /// RDMSR and WRMSR of APIC registers go there. Not while it runs.
    public func attach(interrupts controller: any LocalInterruptController) {
        lock.withLock { interruptController = controller }
    }

    /// KVM_INTERRUPT: has an interrupt injected once the guest takes it, for a VMM with an interrupt controller of its own.
    ///
    /// - Throws: in check order: ENXIO (a controller is attached), EEXIST (one waits already)
    /// - Spec: KVMAPI, KVM_INTERRUPT
    /// - Deviates: the vector waits for the guest to take interrupts, so that there is no KVM_EXIT_IRQ_WINDOW_OPEN
    public func queueInterrupt(_ vector: UInt8) throws(Errno) {
        try lock.withLock { () throws(Errno) in
            guard interruptController == nil else { throw .noSuchAddress }
            guard interruptState.queued == nil else { throw .exists }
            interruptState.queued = vector
        }
        noteChange()
    }

    /// KVM_NMI: has an NMI injected. From any thread.
    public func queueNonMaskable() { request { $0.hasNonMaskable = true } }

    /// Makes a virtual CPU look at its interrupt controller, from any thread.
    public func notice() { interrupt.raise() }

    /// KVM_SET_TSC_KHZ and its like come to this: what the guest's RDTSC adds to the processor's own count. Not while it runs.
    public func setTimeStampOffset(_ offset: UInt64) { lock.withLock { timeStampOffset = offset } }

    /// Whether a guest that waits in HLT would take an interrupt. An NMI it takes in any case.
    public var takesInterrupts: Bool { lock.withLock { interruptState.isEnabled } }

    private var hasInterrupt: Bool {
        interruptState.queued != nil || interruptController.map { $0.hasInterrupt } == true
    }

    /// NMI that nothing holds back.
    private var hasReadyNonMaskable: Bool {
        interruptState.nonMaskableCount > 0 && !interruptState.isNonMaskableBlocked
    }

    /// NMIs that were asked for. A second one is remembered while the first has not been injected.
    func takeNonMaskable() {
        let limit: UInt8 = interruptState.isNonMaskableBlocked ? 1 : 2
        interruptState.nonMaskableCount = min(limit, interruptState.nonMaskableCount + 1)
    }

    /// HLT with a controller: the guest waits until there is something that it takes.
    func halt() -> ExitDisposition {
        guard interruptController != nil else { return .exit(.halted) }
        interruptState.isHalted = true
        return .resume
    }

    /// Whether the guest has to go on waiting in HLT.
    func staysHalted() -> Bool {
        guard interruptState.isHalted else { return false }
        let wakes = hasReadyNonMaskable || (interruptState.isEnabled && hasInterrupt)
        interruptState.isHalted = !wakes
        return !wakes
    }

    /// Chooses the event of the next entry and says in the VMCB what else the guest is to stop for.
    ///
    /// - Spec: APM2 15.20 (event injection), 15.21 (interrupt window by V_IRQ), 15.35 (guests whose flags are hidden)
    func prepareEvents(_ vmcb: inout VMCB) {
        chooseEvent()
        vmcb.eventInjection = eventInjection
        vmcb.interruptShadow = interruptState.isShadowed
        vmcb.taskPriority = interruptController?.cr8 ?? interruptState.taskPriority
        vmcb.timeStampOffset = timeStampOffset
        vmcb.wantsInterruptWindow = hasInterrupt
    }

    private func chooseEvent() {
        // An event whose delivery an exit has interrupted, or an exception of an answer, comes first.
        guard !eventInjection.isValid, !interruptState.isShadowed else { return }
        if hasReadyNonMaskable {
            interruptState.nonMaskableCount -= 1
            interruptState.isNonMaskableBlocked = true
            eventInjection = EventInjection(.nmi, vector: 2)
        } else if interruptState.isEnabled {
            if let vector = interruptState.queued {
                interruptState.queued = nil
                eventInjection = EventInjection(.interrupt, vector: vector)
            } else if let controller = interruptController, controller.hasInterrupt {
                eventInjection = EventInjection(.interrupt, vector: controller.takeInterrupt())
            }
        }
    }

    /// How many instructions may run before the host has to look again: one while an NMI waits for the end of a shadow, as no
    /// window opens for it.
    func limit(_ budget: UInt64) -> UInt64 {
        hasReadyNonMaskable && interruptState.isShadowed ? min(1, budget) : budget
    }

    /// Keeps what #VMEXIT says about interrupts.
    func keepEvents(_ vmcb: VMCB) {
        eventInjection = vmcb.exitInterruptInfo
        interruptState.isShadowed = vmcb.interruptShadow
        interruptState.isEnabled = vmcb.guestInterruptMask
        interruptState.taskPriority = vmcb.taskPriority
        if let controller = interruptController, controller.cr8 != vmcb.taskPriority {
            controller.cr8 = vmcb.taskPriority
        }
    }
}
