// The SEV_FEATURES quadword of a VMSA, and the SEV_STATUS register that the guest reads it in.

/// The features that a virtual CPU runs with: SEV_FEATURES at offset 3b0 of its VMSA.
///
/// - Spec: APM2 Table B-4, SEV_FEATURES; APM2 15.34.10, SEV_STATUS
@frozen public struct SEVFeatures: OptionSet, Hashable, Sendable {
    /// The quadword, unknown bits included.
    public var rawValue: UInt64
    /// Makes a set from its quadword.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The virtual CPU belongs to an SNP guest.
    @inlinable public static var snpActive: Self { Self(rawValue: 1 << 0) }
    /// Addresses above VIRTUAL_TOM are shared, those below private.
    @inlinable public static var virtualTOM: Self { Self(rawValue: 1 << 1) }
    /// #VC is reflected to the VMM instead of delivered.
    @inlinable public static var reflectVC: Self { Self(rawValue: 1 << 2) }
    /// The host may inject only #HV.
    @inlinable public static var restrictedInjection: Self { Self(rawValue: 1 << 3) }
    /// Injection is controlled through the VMSA.
    @inlinable public static var alternateInjection: Self { Self(rawValue: 1 << 4) }
    /// Debug registers are swapped by the hardware.
    @inlinable public static var debugSwap: Self { Self(rawValue: 1 << 5) }
    /// Host IBS is off while the guest runs.
    @inlinable public static var preventHostIBS: Self { Self(rawValue: 1 << 6) }
    /// Branch predictions of the guest are kept apart from the host's.
    @inlinable public static var btbIsolation: Self { Self(rawValue: 1 << 7) }
    /// VMPL supervisor shadow stacks.
    @inlinable public static var vmplSSS: Self { Self(rawValue: 1 << 8) }
    /// The guest's TSC does not follow the host's settings.
    @inlinable public static var secureTSC: Self { Self(rawValue: 1 << 9) }
    /// VMGEXIT takes a parameter.
    @inlinable public static var vmgexitParameter: Self { Self(rawValue: 1 << 10) }
    /// Performance counters are virtualized.
    @inlinable public static var pmcVirtualization: Self { Self(rawValue: 1 << 11) }
    /// IBS is virtualized.
    @inlinable public static var ibsVirtualization: Self { Self(rawValue: 1 << 12) }
    /// The guest chooses intercepts.
    @inlinable public static var guestInterceptControl: Self { Self(rawValue: 1 << 13) }
    /// Registers in the VMSA are masked with a nonce.
    @inlinable public static var vmsaRegisterProtection: Self { Self(rawValue: 1 << 14) }
    /// The sibling thread must be idle or run the same guest.
    @inlinable public static var smtProtection: Self { Self(rawValue: 1 << 15) }
    /// The interrupt controller's backing page is private.
    @inlinable public static var secureAVIC: Self { Self(rawValue: 1 << 16) }
    /// Indirect branch predictions are flushed on every entry.
    @inlinable public static var ibpbOnEntry: Self { Self(rawValue: 1 << 21) }
    /// The bits that have a meaning in a VMSA.
    @inlinable public static var defined: Self { Self(rawValue: 0x21_ffff) }

    /// What an SNP guest with these features reads in SEV_STATUS: SEV, SEV-ES, then bit n of this set at n + 2.
    @inlinable public var sevStatus: UInt64 { 0x3 | rawValue << 2 }
}
