// The control area of a VMCB as a value: what a hypervisor sets before VMRUN and reads after the exit.
//
// It is not kept in emulated memory: no guest or device can see a VMCB. The saved registers of an SNP guest are in its VMSA.

public import SNPArchitecture

/// What VMRUN does with the nested TLB before the guest runs: TLB_CONTROL, offset 05C.
@frozen public enum TLBControl: UInt8, CaseIterable, Sendable {
    /// Nothing.
    case none = 0
    /// Removes all translations of all ASIDs.
    case flushAll = 1
    /// Removes the guest's translations.
    case flushGuest = 3
    /// Removes the guest's translations that are not global. Nested translations know no difference.
    case flushGuestLocal = 7
}

/// Bits 2:0 of offset 090.
@frozen public struct VMCBFeatures: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt64
    /// Makes a set from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// NP_ENABLE.
    @inlinable public static var nestedPaging: Self { Self(rawValue: 1 << 0) }
    /// Enable SEV.
    @inlinable public static var sev: Self { Self(rawValue: 1 << 1) }
    /// Enable SEV-ES.
    @inlinable public static var sevES: Self { Self(rawValue: 1 << 2) }
    /// What an SNP guest needs.
    @inlinable public static var snpGuest: Self { [.nestedPaging, .sev, .sevES] }
}

/// The control area of one virtual CPU.
///
/// - Spec: APM2 Table B-1, VMCB layout, control area
/// - Deviates: no I/O and MSR permission maps (every port and register is intercepted), AVIC, LBR virtualization, pause
///   filter or clean bits; V_IRQ exists only as a request for an interrupt window
public struct VMCB: Hashable, Sendable {
    /// Intercept vectors 3 and 4, offsets 00C and 010.
    public var intercepts: InterceptSet = .snpGuest
    /// TSC_OFFSET, offset 050: what RDTSC adds to the processor's own count.
    public var timeStampOffset: UInt64 = 0
    /// Guest ASID, offset 058.
    public var asid: ASID
    /// TLB_CONTROL, offset 05C.
    public var tlbControl: TLBControl = .none
    /// V_TPR, offset 060 bits 7:0: CR8 of the guest.
    public var taskPriority: UInt8 = 0
    /// V_IRQ with a priority above every task's, offset 060, and its intercept: the guest stops with VINTR as soon as it
    /// would take an interrupt.
    public var wantsInterruptWindow = false
    /// NP_ENABLE, SEV, SEV-ES: offset 090.
    public var features: VMCBFeatures = .snpGuest
    /// The guest's GHCB MSR, C001_0130, offset 0A0. The guest reads and writes it without an exit.
    public var ghcb: UInt64 = 0
    /// EVENTINJ, offset 0A8. VMRUN clears V.
    public var eventInjection = EventInjection.none
    /// N_CR3, offset 0B0: the frame of the top nested table.
    public var nestedRoot: PFN
    /// VMSA pointer, offset 108.
    public var vmsa: SPA

    /// INTERRUPT_SHADOW, offset 068 bit 0: the next instruction is not interrupted.
    public var interruptShadow = false
    /// GUEST_INTERRUPT_MASK, offset 068 bit 1: RFLAGS.IF of the guest as #VMEXIT found it.
    public var guestInterruptMask = false
    /// EXITCODE, offset 070.
    public var exitCode = ExitCode(0)
    /// EXITINFO1, offset 078.
    public var exitInfo1: UInt64 = 0
    /// EXITINFO2, offset 080.
    public var exitInfo2: UInt64 = 0
    /// EXITINTINFO, offset 088: the event whose delivery the exit interrupted.
    public var exitInterruptInfo = EventInjection.none
    /// nRIP, offset 0C8.
    public var nextRIP: UInt64 = 0

    /// Makes the control area of an SNP guest's virtual CPU.
    public init(asid: ASID, nestedRoot: PFN, vmsa: SPA) {
        self.asid = asid
        self.nestedRoot = nestedRoot
        self.vmsa = vmsa
    }
}
