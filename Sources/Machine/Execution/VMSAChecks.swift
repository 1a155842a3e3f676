// VMRUN's checks of the registers that it has loaded. A guest may write anything into a VMSA that it makes itself.

public import SNPArchitecture

/// Why VMRUN refuses a VMSA's contents, in the order of the checks.
public enum VMSARefusal: String, CaseIterable, Sendable {
    /// SEV_FEATURES bit 0 is clear.
    case notSNP
    /// SEV_FEATURES has bits that the processor does not know.
    case unknownFeatures
    /// VMPL is more than 3.
    case vmpl
    /// EFER.SVME is clear.
    case svme
    /// CR0.NW is set and CR0.CD is clear.
    case cacheControl
    /// CR0 bits 63:32.
    case cr0Reserved
    /// CR3 bits past the physical address width.
    case cr3Reserved
    /// CR4 bits that have no meaning.
    case cr4Reserved
    /// DR6 bits 63:32.
    case dr6Reserved
    /// DR7 bits 63:32.
    case dr7Reserved
    /// EFER bits that have no meaning.
    case eferReserved
    /// Long mode and paging without CR4.PAE.
    case longModeWithoutPAE
    /// Long mode and paging without CR0.PE.
    case longModeWithoutProtection
    /// A 64-bit code segment with D set.
    case codeSegmentSize
}

extension VMSA {
    /// The first check that the registers fail, or nil if the guest may run.
    ///
    /// - Spec: APM2 15.5.1 (canonicalization and consistency checks), 15.36.12 (SNP-active guests)
    /// - Deviates: the place of the first three among the checks is not confirmed; segment attributes are not checked, as
    ///   firmware in use leaves TR's at zero; VMPL3 and the optional features of later parts are always there
    public var refusal: VMSARefusal? {
        let longMode = efer & 1 << 8 != 0 && cr0 & 1 << 31 != 0
        guard sevFeatures.contains(.snpActive) else { return .notSNP }
        guard sevFeatures.isSubset(of: .defined) else { return .unknownFeatures }
        guard vmpl <= VMPL.vmpl3.rawValue else { return .vmpl }
        guard efer & 1 << 12 != 0 else { return .svme }
        guard cr0 & (1 << 29 | 1 << 30) != 1 << 29 else { return .cacheControl }
        guard cr0 >> 32 == 0 else { return .cr0Reserved }
        guard cr3 >> 52 == 0 else { return .cr3Reserved }
        guard cr4 & ~Self.cr4Defined == 0 else { return .cr4Reserved }
        guard dr6 >> 32 == 0 else { return .dr6Reserved }
        guard dr7 >> 32 == 0 else { return .dr7Reserved }
        guard efer & ~Self.eferDefined == 0 else { return .eferReserved }
        guard !longMode || cr4 & 1 << 5 != 0 else { return .longModeWithoutPAE }
        guard !longMode || cr0 & 1 != 0 else { return .longModeWithoutProtection }
        guard !longMode || cs.attributes & (1 << 9 | 1 << 10) != 1 << 9 | 1 << 10 else { return .codeSegmentSize }
        return nil
    }

    /// VINTR_CTRL.BUSY, bit 63: the virtual CPU may not be entered.
    var isMarkedBusy: Bool { vintrControl >> 63 != 0 }

    /// VME to LA57 but for bits 13 and 14, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE, CET.
    private static let cr4Defined: UInt64 = 0x00f7_1fff
    /// SCE, LME, LMA, NXE, SVME, LMSLE, FFXSR, TCE, MCOMMIT, INTWB, UAIE, AIBRSE.
    private static let eferDefined: UInt64 = 0x0036_fd01
}
