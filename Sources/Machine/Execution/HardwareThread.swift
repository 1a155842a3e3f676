// One hardware thread as VMRUN sees it: its nested TLB, its interrupt line and what executes guest code on it.

internal import SNPArchitecture
internal import Synchronization

/// A line by which another processor makes a guest stop.
public final class InterruptLine: Sendable {
    private let raised = Atomic<Bool>(false)

    /// Makes a line that is low.
    public init() {}

    /// Whether an interrupt is pending.
    public var isRaised: Bool { raised.load(ordering: .acquiring) }
    /// Makes the guest stop with exit code INTR, now or at its next entry.
    public func raise() { raised.store(true, ordering: .releasing) }
    /// Acknowledges the interrupt. Whoever lowers the line looks for its cause afterwards, not before.
    public func lower() { raised.store(false, ordering: .releasing) }
}

/// A hardware thread that runs one virtual CPU. Not for use by several threads at a time, but for the interrupt line.
///
/// - Deviates: each virtual CPU has a hardware thread of its own, so that its translations stay with it
@safe public final class HardwareThread {
    /// What executes guest code.
    public let processor: any GuestProcessor
    /// Stops the guest from another thread.
    public let interrupt: InterruptLine
    private var access: GuestAccess?
    /// Where VMRUN puts the registers, from one entry to the next. Not a stored value: an access that lasts as long as the
    /// guest runs is not one that the exclusivity checker can follow from one stack to another.
    let state: UnsafeMutablePointer<VirtualCPUState>

    /// Makes a thread with an empty TLB.
    public init(_ processor: any GuestProcessor, interrupt: InterruptLine = InterruptLine()) {
        self.processor = processor
        self.interrupt = interrupt
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: VirtualCPUState(registers: VMSA()))
    }

    deinit {
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// The thread's port to the memory of a machine, for this guest.
    func access(on machine: Machine, as context: RunningGuest) -> GuestAccess {
        if let access, access.rmp === machine.rmp {
            access.context = context
            return access
        }
        let fresh = GuestAccess(memory: machine.memory, rmp: machine.rmp, epochs: machine.epochs, context: context)
        access = fresh
        return fresh
    }
}
