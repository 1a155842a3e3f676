// Why a guest stopped: the exit codes of SVM, and those that the GHCB protocol adds for guests to ask with.

/// An exit code: in the VMCB, in the error code of a #VC, or in SW_EXITCODE of a GHCB. An open set.
///
/// - Spec: APM2 Appendix C (SVM intercept exit codes), 15.35.5 (automatic exits); GHCB 56421, "GHCB NAE events"
@frozen public struct ExitCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The code.
    public var rawValue: UInt64
    /// Makes a code from its number.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes a code from its number.
    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The name where the code has one, else the number.
    public var description: String { Self.names[rawValue] ?? "0x" + String(rawValue, radix: 16) }

    /// VMEXIT_DR7_READ.
    @inlinable public static var readDR7: Self { Self(0x27) }
    /// VMEXIT_DR7_WRITE.
    @inlinable public static var writeDR7: Self { Self(0x37) }
    /// VMEXIT_EXCP1: #DB.
    @inlinable public static var debugException: Self { Self(0x41) }
    /// VMEXIT_EXCP17: #AC.
    @inlinable public static var alignmentException: Self { Self(0x51) }
    /// VMEXIT_EXCP18: #MC.
    @inlinable public static var machineCheck: Self { Self(0x52) }
    /// VMEXIT_INTR: a physical interrupt.
    @inlinable public static var interrupt: Self { Self(0x60) }
    /// VMEXIT_NMI: a physical NMI.
    @inlinable public static var nmi: Self { Self(0x61) }
    /// VMEXIT_SMI.
    @inlinable public static var smi: Self { Self(0x62) }
    /// VMEXIT_INIT.
    @inlinable public static var initSignal: Self { Self(0x63) }
    /// VMEXIT_VINTR.
    @inlinable public static var virtualInterrupt: Self { Self(0x64) }
    /// VMEXIT_RDTSC.
    @inlinable public static var rdtsc: Self { Self(0x6e) }
    /// VMEXIT_RDPMC.
    @inlinable public static var rdpmc: Self { Self(0x6f) }
    /// VMEXIT_CPUID.
    @inlinable public static var cpuid: Self { Self(0x72) }
    /// VMEXIT_INVD.
    @inlinable public static var invd: Self { Self(0x76) }
    /// VMEXIT_PAUSE.
    @inlinable public static var pause: Self { Self(0x77) }
    /// VMEXIT_HLT.
    @inlinable public static var halt: Self { Self(0x78) }
    /// VMEXIT_IOIO.
    @inlinable public static var ioio: Self { Self(0x7b) }
    /// VMEXIT_MSR.
    @inlinable public static var msr: Self { Self(0x7c) }
    /// VMEXIT_SHUTDOWN: a triple fault.
    @inlinable public static var shutdown: Self { Self(0x7f) }
    /// VMEXIT_VMRUN.
    @inlinable public static var vmrun: Self { Self(0x80) }
    /// VMEXIT_VMMCALL.
    @inlinable public static var vmmcall: Self { Self(0x81) }
    /// VMEXIT_RDTSCP.
    @inlinable public static var rdtscp: Self { Self(0x87) }
    /// VMEXIT_WBINVD.
    @inlinable public static var wbinvd: Self { Self(0x89) }
    /// VMEXIT_MONITOR.
    @inlinable public static var monitor: Self { Self(0x8a) }
    /// VMEXIT_MWAIT.
    @inlinable public static var mwait: Self { Self(0x8b) }
    /// VMEXIT_EFER_WRITE_TRAP.
    @inlinable public static var eferWriteTrap: Self { Self(0x8f) }
    /// VMEXIT_CR0_WRITE_TRAP to VMEXIT_CR15_WRITE_TRAP.
    @inlinable public static func controlRegisterWriteTrap(_ register: UInt8) -> Self {
        Self(0x90 | UInt64(register & 15))
    }
    /// VMEXIT_BUSLOCK.
    @inlinable public static var busLock: Self { Self(0xa5) }
    /// VMEXIT_IDLE_HLT.
    @inlinable public static var idleHalt: Self { Self(0xa6) }
    /// VMEXIT_NPF: a nested page fault. As the error code of a #VC: an access that the host marks as a device's.
    @inlinable public static var nestedPageFault: Self { Self(0x400) }
    /// AVIC_INCOMPLETE_IPI.
    @inlinable public static var avicIncompleteIPI: Self { Self(0x401) }
    /// AVIC_NOACCEL.
    @inlinable public static var avicUnaccelerated: Self { Self(0x402) }
    /// VMEXIT_VMGEXIT: the guest asks the host.
    @inlinable public static var vmgexit: Self { Self(0x403) }
    /// PAGE_NOT_VALIDATED: only ever the error code of a #VC.
    @inlinable public static var pageNotValidated: Self { Self(0x404) }
    /// VMEXIT_INVALID: VMRUN refuses the guest's state.
    @inlinable public static var invalid: Self { Self(UInt64(bitPattern: -1)) }
    /// VMEXIT_BUSY: the VMSA is in use.
    @inlinable public static var busy: Self { Self(UInt64(bitPattern: -2)) }
    /// VMEXIT_IDLE_REQUIRED: the sibling thread is not idle.
    @inlinable public static var idleRequired: Self { Self(UInt64(bitPattern: -3)) }
    /// VMEXIT_INVALID_PMC.
    @inlinable public static var invalidPMC: Self { Self(UInt64(bitPattern: -4)) }

    private static let names: [UInt64: String] = Dictionary(
        uniqueKeysWithValues: ExitCode.named.map { ($0.code.rawValue, $0.name) })
}
