// What a host says that it can do, and what a guest says when it gives up.

/// The features of the host: bits 63:12 of the MSR answer 0x081, and SW_EXITINFO2 of the event 0x8000fffd.
///
/// - Spec: GHCB 56421, "Hypervisor features advertisement"
@frozen public struct HypervisorFeatures: OptionSet, Hashable, Sendable {
    /// The bits, bit 0 first.
    public var rawValue: UInt64
    /// Makes a set from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// SEV-SNP.
    @inlinable public static var snp: Self { Self(rawValue: 1 << 0) }
    /// SNP AP creation.
    @inlinable public static var apCreation: Self { Self(rawValue: 1 << 1) }
    /// Restricted injection: only #HV.
    @inlinable public static var restrictedInjection: Self { Self(rawValue: 1 << 2) }
    /// A timer with restricted injection.
    @inlinable public static var restrictedInjectionTimer: Self { Self(rawValue: 1 << 3) }
    /// The list of APIC identifiers.
    @inlinable public static var apicIDList: Self { Self(rawValue: 1 << 4) }
    /// More than one VMPL.
    @inlinable public static var multiVMPL: Self { Self(rawValue: 1 << 5) }
    /// What KVM offers.
    @inlinable public static var kvm: Self { [.snp, .apCreation] }
}

/// Why a guest asks to be terminated.
///
/// - Spec: GHCB 56421, "Termination request"
@frozen public struct GHCBTermination: Hashable, Sendable, CustomStringConvertible {
    /// Who defines the code: 0 the GHCB specification, others the guest's authors. 4 bits.
    public var reasonSet: UInt8
    /// The reason.
    public var code: UInt8

    /// Makes a reason; only the low 4 bits of the set count.
    @inlinable public init(reasonSet: UInt8, code: UInt8) {
        self.reasonSet = reasonSet & 0xf
        self.code = code
    }

    /// Reads SW_EXITINFO1 of the event: the set in bits 3:0, the code in bits 11:4.
    @inlinable public init(exitInfo1: UInt64) {
        self.init(
            reasonSet: UInt8(truncatingIfNeeded: exitInfo1), code: UInt8(truncatingIfNeeded: exitInfo1 >> 4))
    }

    /// SW_EXITINFO1 of the event.
    @inlinable public var exitInfo1: UInt64 { UInt64(reasonSet) | UInt64(code) << 4 }

    /// A general request to terminate.
    @inlinable public static var general: Self { Self(reasonSet: 0, code: 0) }
    /// The host speaks no protocol version that the guest does.
    @inlinable public static var protocolRange: Self { Self(reasonSet: 0, code: 1) }
    /// The host lacks SNP features that the guest needs.
    @inlinable public static var unsupportedFeatures: Self { Self(reasonSet: 0, code: 2) }

    /// The reason in words where the specification or Linux gives it some, else the two numbers.
    ///
    /// - Deviates: OVMF's reset vector uses codes 1 and 2 of set 1 with meanings of its own
    public var description: String {
        let names: [String] =
            switch reasonSet {
            case 0: ["general request", "protocol range unsupported", "SNP features unsupported"]
            case 1:
                [
                    "GHCB registration failed", "page state change failed", "PVALIDATE failed", "not VMPL0",
                    "CPUID table bad", "CPUID through the host failed", "secrets page bad",
                    "no SVSM though VMPL is not 0", "SVSM guest runs at VMPL0", "calling area not page aligned",
                    "Secure TSC failed", "calling area not remapped", "Secure AVIC failed",
                ]
            default: []
            }
        let numbers = "reason \(reasonSet):\(code)"
        return Int(code) < names.count ? "\(names[Int(code)]) (\(numbers))" : numbers
    }
}
