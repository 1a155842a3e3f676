// The seam between the hypervisor and guest code. What executes guest code stands behind one protocol; VMRUN is the only
// caller, once for each entry into the guest, so that nothing inside a processor pays for the existential.

public import SNPArchitecture

/// What executes guest code between VMRUN and #VMEXIT: one object for each virtual CPU.
///
/// The hypervisor cannot tell conformers apart. A conformer makes every memory access through the `GuestAccess` it is given,
/// turns faults into exits and exceptions as `GuestFault.delivery` says, and repeats the faulting instruction when it is run
/// again. It never blocks and takes no locks.
public protocol GuestProcessor: AnyObject {
    /// Runs guest code until a #VMEXIT.
    ///
    /// - Parameters:
    ///   - state: the registers that VMRUN loaded, which #VMEXIT will store, and the controls of the run
    ///   - memory: the virtual CPU's way to memory; its context is that of the VMSA
    ///   - interrupt: a physical interrupt line, looked at before the first instruction and often enough afterwards
    /// - Returns: why the guest stopped; `.interrupt` when the line is raised or the budget is used up
    func run(_ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine) -> GuestExit
}

/// A virtual CPU inside the guest: the registers of its VMSA and what the VMCB says that concerns guest code.
public struct VirtualCPUState: Sendable {
    /// The registers, decrypted.
    public var registers: VMSA
    /// The GHCB MSR, which RDMSR and WRMSR of the guest reach without an exit.
    public var ghcb: UInt64
    /// What to stop for, or raise #VC for.
    public internal(set) var intercepts: InterceptSet
    /// An event to deliver before the first instruction. The processor takes it by setting it to none.
    public var event: EventInjection
    /// TSC_OFFSET of the VMCB, for RDTSC.
    public var timeStampOffset: UInt64
    /// INTERRUPT_SHADOW: the next instruction is not interrupted.
    public var interruptShadow: Bool
    /// Stop with `.virtualInterrupt` before the first instruction at which the guest would take an interrupt.
    public var wantsInterruptWindow: Bool
    /// How many instructions may still run; the processor counts it down and stops at zero with `.interrupt`.
    public var budget: UInt64

    /// Makes a state.
    public init(
        registers: VMSA, ghcb: UInt64 = 0, intercepts: InterceptSet = .snpGuest, event: EventInjection = .none,
        timeStampOffset: UInt64 = 0, interruptShadow: Bool = false, wantsInterruptWindow: Bool = false,
        budget: UInt64 = .max
    ) {
        self.registers = registers
        self.ghcb = ghcb
        self.intercepts = intercepts
        self.event = event
        self.timeStampOffset = timeStampOffset
        self.interruptShadow = interruptShadow
        self.wantsInterruptWindow = wantsInterruptWindow
        self.budget = budget
    }
}
