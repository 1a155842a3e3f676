// What a hypervisor asks VMRUN to stop for.

public import SNPArchitecture

/// Intercept vectors 3 and 4 of a VMCB, offsets 00C and 010: bit n stands for exit code 60h + n.
///
/// In an SEV-ES or SNP guest some of these stop the guest (automatic exits); the others raise #VC inside it.
///
/// - Spec: APM2 15.9, Table B-1; 15.35.5
/// - Deviates: the vectors for exceptions and for control and debug registers are left out; so DR7 is never intercepted
@frozen public struct InterceptSet: OptionSet, Hashable, Sendable {
    /// The 64 bits.
    public var rawValue: UInt64
    /// Makes a set from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The set of one exit code; empty for a code that no bit stands for.
    @inlinable public init(_ code: ExitCode) {
        rawValue = 0x60...0x9f ~= code.rawValue ? 1 << (code.rawValue - 0x60) : 0
    }

    /// Whether the guest stops or gets #VC at this code.
    @inlinable public func contains(_ code: ExitCode) -> Bool { !isDisjoint(with: Self(code)) }

    /// What KVM intercepts of an SEV-ES or SNP guest.
    ///
    /// - Spec: Linux: `init_vmcb()`, `sev_es_init_vmcb()`
    public static let snpGuest: InterceptSet = [
        Self(.interrupt), Self(.nmi), Self(.smi), Self(.initSignal), Self(.rdpmc), Self(.cpuid), Self(.invd),
        Self(.pause),
        Self(.halt), Self(.ioio), Self(.msr), Self(.shutdown), Self(.vmrun), Self(.vmmcall), Self(.wbinvd),
        Self(.monitor), Self(.mwait), Self(.eferWriteTrap), Self(.controlRegisterWriteTrap(0)),
        Self(.controlRegisterWriteTrap(4)), Self(.controlRegisterWriteTrap(8)),
    ]
}
