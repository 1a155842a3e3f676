// A request of the page protocol: a copy of the GHCB, and what must hold of it before anything is done.

internal import SNPArchitecture

/// A copy of a GHCB, with the host that looks at it. All decisions are taken on the copy.
struct GHCBRequest {
    /// Where the page is.
    let gpa: GPA
    /// The copy.
    let page: GHCBPage
    /// Which host.
    let personality: GHCBPersonality
    /// The attacker, if it is hostile.
    var hostile: HostileHost?

    /// SW_EXITCODE, valid or not.
    var code: ExitCode { ExitCode(page[.exitCode]) }
    /// SW_EXITINFO1, valid or not.
    var info1: UInt64 { page[.exitInfo1] }
    /// SW_EXITINFO2, valid or not.
    var info2: UInt64 { page[.exitInfo2] }

    /// A register if it is marked valid, else 0: the host starts each request from cleared registers.
    func register(_ field: GHCBField) -> UInt64 { page.value(field) ?? 0 }

    /// A quadword's low half.
    func low(_ field: GHCBField) -> UInt32 { UInt32(truncatingIfNeeded: register(field)) }

    /// The first thing wrong with the page itself, or nil.
    ///
    /// - Spec: GHCB 56421, "GHCB layout", "NAE event results"; Linux: `sev_es_validate_vmgexit()`
    /// - Returns: in check order: `.invalidUsage` (version, of strict hosts), `.invalidUsage` (usage), `.invalidEvent` (an SNP
    ///   event of another kind of machine), `.missingInput` (code or infos), `.invalidEvent` (unknown), `.missingInput` (what
    ///   the event needs)
    func refusal(isSNP: Bool) -> GHCBMalformedInput? {
        // GHCB: versions 1 and 2 exist. KVM does not look.
        guard !personality.checksVersion || (1...2).contains(page.protocolVersion) else { return .invalidUsage }
        // GHCB and KVM: usage 0 is the only one with a layout.
        guard page.usage == 0 else { return .invalidUsage }
        // KVM.
        guard isSNP || !Self.snpEvents.contains(code) else { return .invalidEvent }
        // GHCB and KVM.
        guard isMarked([.exitCode, .exitInfo1, .exitInfo2]) else { return .missingInput }
        guard let fields = requiredFields else { return .invalidEvent }
        guard isMarked(fields) else { return .missingInput }
        return nil
    }

    private func isMarked(_ fields: [GHCBField]) -> Bool { fields.allSatisfy(page.validBitmap.contains) }

    private static let snpEvents: Set<ExitCode> = [
        .pageStateChange, .guestRequest, .extendedGuestRequest, .apCreation,
    ]

    /// What an event needs beside code and infos, or nil for one that the host does not know.
    ///
    /// - Spec: GHCB 56421, "NAE events", table of inputs; the differences of KVM are those of `GHCBPersonality`
    private var requiredFields: [GHCBField]? {
        switch code {
        case .readDR7, .rdtsc, .rdtscp, .invd, .wbinvd, .nmiComplete, .apResetHold, .apJumpTable, .guestRequest,
            .hypervisorFeatures, .terminate, .unsupportedEvent:
            return []
        case .writeDR7: return [.rax]
        case .rdpmc: return [.rcx]
        case .cpuid: return [.rax, .rcx] + cpuidState
        case .ioio:
            let info = IOExitInfo(rawValue: info1)
            if info.isString { return [.scratch] }
            return info.isInput ? [] : [.rax]
        case .msr: return info1 == 0 ? [.rcx] : [.rcx, .rax, .rdx]
        case .vmmcall: return [.rax, .cpl]
        case .monitor: return [.rax, .rcx, .rdx]
        case .mwait: return [.rax, .rcx]
        case .mmioRead, .mmioWrite, .pageStateChange: return [.scratch]
        case .extendedGuestRequest: return personality.requiresCertificateBuffer ? [.rax, .rbx] : []
        case .apCreation:
            return APCreationInput(exitInfo1: info1, exitInfo2: info2).kind == .destroy ? [] : [.rax]
        default: return nil
        }
    }

    /// CPUID 0xd depends on XCR0, and its subfunction 1 on XSS.
    private var cpuidState: [GHCBField] {
        guard page[.rax] == 0xd else { return [] }
        return personality.requiresXSS && page[.rcx] == 1 ? [.xcr0, .xss] : [.xcr0]
    }
}
