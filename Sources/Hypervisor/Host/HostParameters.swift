// What a kernel is told when it boots: the parameters of its modules and of its command line that SNP depends on.

public import Machine
public import SNPArchitecture

/// How the kernel uses the IOMMUs.
public enum IOMMUMode: String, CaseIterable, Sendable {
    /// Devices' addresses are translated by the kernel's own tables.
    case translated
    /// Devices' addresses are physical: `iommu=pt`.
    case passthrough
    /// The tables have the format of the processor's: `amd_iommu=pgtbl_v2`.
    case version2Tables
    /// Not at all: `amd_iommu=off`.
    case off
}

/// The parameters of a host kernel.
///
/// - Spec: patch 51 of the series; Linux: parameters of `kvm_amd`, `kvm` and `ccp`
public struct HostParameters: Hashable, Sendable {
    /// `kvm_amd.sev`.
    public var sev = true
    /// `kvm_amd.sev_es`.
    public var sevES = true
    /// `kvm_amd.sev_snp`.
    public var sevSNP = true
    /// `kvm_amd.npt`.
    public var nestedPaging = true
    /// `kvm_amd.nrips`.
    public var nextRIP = true
    /// `kvm_amd.lbrv`.
    public var branchRecordVirtualization = true
    /// `kvm.enable_mmio_caching`.
    public var mmioCaching = true
    /// `ccp.psp_init_on_probe`: the legacy half of the platform is initialised with SNP, and not when it is first wanted.
    ///
    /// - Deviates: off unless asked for, where Linux has it on: its trusted memory region takes 2 MiB
    public var initializesLegacySEV = false
    /// The SEV_FEATURES that machines may have besides the SNP bit.
    ///
    /// - Deviates: all that the processor knows, so that launches of any hypervisor can be measured; Linux allows DebugSwap
    ///   and, lately, SecureTSC
    public var vmsaFeatures = SEVFeatures.defined
    /// How the IOMMUs are used.
    public var iommuMode = IOMMUMode.translated

    /// Makes the parameters of a kernel that is told nothing.
    public init() {}

    /// Whether KVM makes SEV-ES machines on a processor: the order of the guards is the order in which one takes another
    /// along.
    ///
    /// - Spec: Linux: `sev_hardware_setup()`
    func allowsSEVES(_ configuration: MachineConfiguration) -> Bool {
        guard sev, nestedPaging else { return false }
        guard configuration.features.contains(.sev), configuration.asidCount > 0 else { return false }
        guard sevES, mmioCaching, branchRecordVirtualization, nextRIP else { return false }
        return configuration.features.contains(.sevES) && configuration.minimumSEVASID > 1
    }

    /// Whether KVM makes SNP machines on a processor, provided that SNP is on.
    public func allowsSNP(_ configuration: MachineConfiguration) -> Bool {
        allowsSEVES(configuration) && sevSNP && configuration.features.contains(.sevSNP)
    }
}
