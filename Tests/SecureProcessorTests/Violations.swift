// How to break each precondition of Spec/firmware-preconditions.tsv.

import Machine
import SNPArchitecture

@testable import SecureProcessor

/// Breaks one precondition of a scenario. What others broke before stays broken as far as it can.
typealias Violation = @Sendable (CommandScenario) -> Void

enum Violations {
    /// By "COMMAND/precondition", or by the precondition alone where all commands share it.
    static func find(_ command: String, _ precondition: String) -> Violation? {
        commands[command + "/" + precondition] ?? cores[precondition] ?? shared[precondition]
            ?? platformStates[precondition]
    }

    /// Every key, to find the ones that the table does not use.
    static var allKeys: Set<String> {
        Set(commands.keys).union(cores.keys).union(shared.keys).union(platformStates.keys)
    }

    private static let shared: [String: Violation] = [
        "reserved": { scenario in
            for type in reservedTypes where type.command == scenario.command {
                let bits = type.reserved
                for index in 0..<8 where bits.words[index] != 0 {
                    scenario.buffer.words[index] |= 1 << UInt64(63 - bits.words[index].leadingZeroBitCount)
                }
            }
        },
        "platform-init": { $0.platform.firmware.withFirmware { $0.state = .uninitialized } },
        "platform-uninit": { $0.platform.firmware.withFirmware { $0.state = .initialized } },
        "context": { $0.platform.machine.rmp.firmwareWrite(TestPage.context, firmwareEntry) },
        "context-outside-rmp": { scenario in
            scenario.buffer.words[0] = scenario.platform.machine.rmp.base.rawValue + 0x3000
        },
        "asids-clean": { $0.platform.firmware.withFirmware { $0.asids[ASID(9)] = ASIDRecord(dirty: 1) } },
        "guest-launching": { $0.changeGuest { $0.state = .running } },
        "guest-active": { $0.changeGuest { $0.activation = .inactive } },
    ]

    static let firmwareEntry = RMPEntry(assigned: true, immutable: true)

    private static let reservedTypes: [any CommandBuffer.Type] = [
        InitExBuffer.self, ShutdownExBuffer.self, GuestStatusBuffer.self, GCTXCreateBuffer.self,
        DecommissionBuffer.self, ActivateBuffer.self, LaunchStartBuffer.self, LaunchUpdateBuffer.self,
        LaunchFinishBuffer.self, PageReclaimBuffer.self, PageUnsmashBuffer.self, ConfigBuffer.self,
        GuestRequestBuffer.self, DebugDecryptBuffer.self, DebugEncryptBuffer.self, PageSetStateBuffer.self,
        ActivateExBuffer.self, VLEKLoadBuffer.self, PageMDInitBuffer.self, PageMoveBuffer.self, PageSwapOutBuffer.self,
        PageSwapInBuffer.self, DownloadFirmwareExBuffer.self, VerifyMitigationBuffer.self, SEVInitBuffer.self,
        SEVInitExBuffer.self, SEVCertificateExportBuffer.self,
    ]

    private static func all(_ change: @escaping @Sendable (inout CoreRegisters) -> Void) -> Violation {
        { $0.platform.machine.cores.updateAll(change) }
    }
    private static func one(_ change: @escaping @Sendable (inout CoreRegisters) -> Void) -> Violation {
        { $0.platform.machine.cores.update(1, change) }
    }

    private static let cores: [String: Violation] = [
        "memory-encryption": all { $0.syscfg &= ~CoreRegisters.SYSCFG.memoryEncryption },
        "snp-enabled": all { $0.syscfg &= ~CoreRegisters.SYSCFG.snpEnable },
        "vmpl-enabled": all { $0.syscfg &= ~CoreRegisters.SYSCFG.vmplEnable },
        "syscfg-equal": one { $0.syscfg |= 1 << 22 },
        "hwcr-equal": one { $0.hwcr |= 1 << 5 },
        "mfdm": all { $0.syscfg &= ~CoreRegisters.SYSCFG.mfdm },
        "smm-lock": all { $0.hwcr &= ~CoreRegisters.HWCR.smmLock },
        "rmp-base-equal": one { $0.rmpBase ^= 1 << 20 },
        "rmp-end-equal": one { $0.rmpEnd ^= 1 << 20 },
        "rmp-mappable": all { $0.rmpEnd = 1 << 46 - 1 },
        "rmp-ordered": all { $0.rmpEnd = $0.rmpBase - 1 },
        "rmp-aligned": all { $0.rmpBase += 0x1000 },
        "rmp-without-c-bit": all { $0.rmpBase |= 1 << 51 },
        "rmp-in-dram": all { $0.rmpEnd = 513 << 20 - 1 },
        "hsave-zero": one { $0.hostSaveArea = 0x1000 },
        "written-back": one { $0.writtenBack = false },
    ]

    private static let commands: [String: Violation] =
        platformCommands.merging(guestCommands) { a, _ in a }.merging(launchCommands) { a, _ in a }
        .merging(pageCommands) { a, _ in a }.merging(messageCommands) { a, _ in a }
        .merging(debugCommands) { a, _ in a }.merging(listCommands) { a, _ in a }
        .merging(pagingCommands) { a, _ in a }.merging(replacementCommands) { a, _ in a }
        .merging(legacyCommands) { a, _ in a }

    private static let platformCommands: [String: Violation] = [
        "SNP_INIT_EX/rmp-initialized": { $0.platform.firmware.withFirmware { $0.rmpTCB = nil } },
        "SNP_INIT_EX/no-list-without-init": { $0.edit(InitExBuffer.self) { $0.rangeListIsEnabled = true } },
        "SNP_SHUTDOWN_EX/length": { $0.edit(ShutdownExBuffer.self) { $0.length = 9 } },
        "SNP_SHUTDOWN_EX/x86-with-iommu": { $0.edit(ShutdownExBuffer.self) { $0.iommuShutdown = false } },
        "SNP_PLATFORM_STATUS/status-within-page": { $0.buffer.words[0] |= 0xff8 },
        "SNP_PLATFORM_STATUS/status-outside-rmp": { $0.buffer.words[0] = $0.platform.machine.rmp.base.rawValue },
        "SNP_PLATFORM_STATUS/status-page-state": { scenario in
            scenario.platform.setEntry(TestPage.status) { $0.vmsa = true }
            scenario.buffer.words[0] = TestPage.status.address.rawValue
        },
        "SNP_PLATFORM_STATUS/status-mappable": { $0.buffer.words[0] = 1 << 60 },
        "SNP_PLATFORM_STATUS/status-in-dram": { $0.buffer.words[0] = 512 << 20 },
        "SNP_CONFIG/tcb-committed": { scenario in
            scenario.edit(ConfigBuffer.self) { $0.reportedTCB = TCBVersion(rawValue: $0.reportedTCB.rawValue + 1) }
        },
        "SNP_COMMIT/length": { $0.buffer.words[0] = 5 },
        "SNP_FEATURE_INFO/length": { $0.edit(FeatureInfoBuffer.self) { $0.length = 0x11 } },
        "SNP_FEATURE_INFO/output-aligned": { $0.buffer.words[1] |= 2 },
        "SNP_FEATURE_INFO/output-within-page": { $0.buffer.words[1] |= 0xff8 },
        "SNP_FEATURE_INFO/output-page-state": { $0.platform.setEntry(TestPage.status) { $0.immutable = false } },
        "SNP_FEATURE_INFO/subleaf": { $0.edit(FeatureInfoBuffer.self) { $0.subleaf = 2 } },
    ]

    private static let guestCommands: [String: Violation] = [
        "SNP_GCTX_CREATE/context-firmware": { $0.platform.setEntry(TestPage.context) { $0.immutable = false } },
        "SNP_GCTX_CREATE/context-4k": { $0.platform.setEntry(TestPage.context) { $0.pageSize = .size2M } },
        "SNP_ACTIVATE/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_ACTIVATE/asid-below-2048": { $0.edit(ActivateBuffer.self) { $0.asid = ASID(2048) } },
        "SNP_ACTIVATE/asid-without-pages": { scenario in
            let asid = ActivateBuffer(bytes: scenario.buffer).asid
            try? scenario.platform.assign(TestPage.page, asid, at: GPA(0x1000))
        },
        "SNP_ACTIVATE/asid-has-key": { $0.edit(ActivateBuffer.self) { $0.asid = ASID(1007) } },
        "SNP_ACTIVATE/asid-unowned": { setRecord($0, ASIDRecord(allocated: 1)) },
        "SNP_ACTIVATE/guest-inactive": { $0.changeGuest { $0.activation = .pending } },
        "SNP_ACTIVATE/asid-not-dirty": { setRecord($0, ASIDRecord(dirty: 1)) },
        "SNP_ACTIVATE/asid-clean-everywhere": { setRecord($0, ASIDRecord()) },
        "SNP_ACTIVATE/asid-for-snp": { $0.edit(ActivateBuffer.self) { $0.asid = ASID(100) } },
        "SNP_GUEST_STATUS/status-within-page": { $0.buffer.words[1] |= 0xff0 },
        "SNP_GUEST_STATUS/status-page-state": { scenario in
            scenario.platform.setEntry(TestPage.status) { $0.immutable = false }
            scenario.buffer.words[1] = TestPage.status.address.rawValue
        },
        "SNP_GUEST_STATUS/status-in-dram": { $0.buffer.words[1] = 512 << 20 },
    ]

    private static func setRecord(_ scenario: CommandScenario, _ record: ASIDRecord) {
        let asid = ActivateBuffer(bytes: scenario.buffer).asid
        scenario.platform.firmware.withFirmware { $0.asids[asid] = record }
    }

    private static func policy(_ change: @escaping @Sendable (inout GuestPolicy) -> Void) -> Violation {
        { scenario in scenario.edit(LaunchStartBuffer.self) { change(&$0.policy) } }
    }

    private static let launchCommands: [String: Violation] = [
        "SNP_LAUNCH_START/guest-new": { $0.changeGuest { $0.state = .launching } },
        "SNP_LAUNCH_START/agent-context": { $0.platform.setEntry(TestPage.agent) { $0.vmsa = false } },
        "SNP_LAUNCH_START/policy-allows-agent": policy { $0.remove(.migrationAgentAllowed) },
        "SNP_LAUNCH_START/agent-without-agent": { $0.changeGuest(TestPage.agent) { $0.migrationAgent = PFN(1) } },
        "SNP_LAUNCH_START/policy-bit-17": policy { $0.remove(.mustBeOne) },
        "SNP_LAUNCH_START/policy-smt": policy { $0.remove(.smtAllowed) },
        "SNP_LAUNCH_START/policy-major": policy { $0.abiMajor = 2 },
        "SNP_LAUNCH_START/policy-minor": policy {
            $0.abiMajor = 1
            $0.abiMinor = 56
        },
        "SNP_LAUNCH_START/policy-reserved": policy { $0.insert(.cxlAllowed) },
        "SNP_LAUNCH_START/agent-single-socket": { $0.changeGuest(TestPage.agent) { $0.policy.remove(.singleSocket) } },
        "SNP_LAUNCH_UPDATE/page-pre-guest": { $0.platform.setEntry($0.page) { $0.validated = true } },
        "SNP_LAUNCH_UPDATE/page-size": { scenario in
            scenario.edit(LaunchUpdateBuffer.self) { $0.pageSize = $0.pageSize == .size4K ? .size2M : .size4K }
        },
        "SNP_LAUNCH_UPDATE/page-aligned": { setLargePage($0, TestPage.large + 1) },
        "SNP_LAUNCH_UPDATE/type-fits-size": { scenario in
            setLargePage(scenario, TestPage.large)
            scenario.edit(LaunchUpdateBuffer.self) { $0.pageType = .vmsa }
        },
        "SNP_LAUNCH_UPDATE/type-defined": { $0.edit(LaunchUpdateBuffer.self) { $0.pageType = PageType(rawValue: 7) } },
        "SNP_LAUNCH_UPDATE/page-owner": { $0.platform.setEntry($0.page) { $0.asid = ASID(6) } },
        "SNP_LAUNCH_UPDATE/imi-page": { $0.changeGuest { $0.initialMigrationImage = true } },
        "SNP_LAUNCH_FINISH/no-imi-launch": { $0.changeGuest { $0.initialMigrationImage = true } },
        "SNP_LAUNCH_FINISH/id-block-in-dram": { $0.edit(LaunchFinishBuffer.self) { $0.idBlock = SPA(512 << 20) } },
        "SNP_LAUNCH_FINISH/id-auth-mappable": {
            $0.edit(LaunchFinishBuffer.self) { $0.idAuthentication = SPA(1 << 60) }
        },
        "SNP_LAUNCH_FINISH/launch-digest": { $0.idBlock?.launchDigest[0] ^= 1 },
        "SNP_LAUNCH_FINISH/policy": { $0.idBlock?.policy.insert(.debugAllowed) },
        "SNP_LAUNCH_FINISH/id-key-algorithm": { $0.idAuthentication?.idKeyAlgorithm = 2 },
        "SNP_LAUNCH_FINISH/author-key-algorithm": { $0.idAuthentication?.authorKeyAlgorithm = 0 },
        "SNP_LAUNCH_FINISH/id-key-curve": { $0.idAuthentication?.idKey.curve = 1 },
        "SNP_LAUNCH_FINISH/id-key-on-curve": { $0.idAuthentication?.idKey.x[0] ^= 1 },
        "SNP_LAUNCH_FINISH/id-block-signature": { $0.idAuthentication?.idBlockSignature.r[0] ^= 1 },
        "SNP_LAUNCH_FINISH/author-key-curve": { $0.idAuthentication?.authorKey.curve = 1 },
        "SNP_LAUNCH_FINISH/author-key-on-curve": { $0.idAuthentication?.authorKey.y[60] = 1 },
        "SNP_LAUNCH_FINISH/id-key-signature": { $0.idAuthentication?.idKeySignature.s[0] ^= 1 },
    ]

    /// Makes a frame a Pre-Guest page of 2M, aligned or not, and the command's page.
    private static func setLargePage(_ scenario: CommandScenario, _ pfn: PFN) {
        scenario.platform.machine.rmp.firmwareWrite(
            pfn, RMPEntry(assigned: true, pageSize: .size2M, immutable: true, gfn: GFN(0x400), asid: ASID(5)))
        scenario.edit(LaunchUpdateBuffer.self) {
            $0.page = pfn.address
            $0.pageSize = .size2M
        }
    }

    private static func entries(_ change: @escaping @Sendable (inout RMPEntry, Int) -> Void) -> Violation {
        { scenario in
            for index in 0..<512 {
                scenario.platform.setEntry(TestPage.large + UInt64(index)) { change(&$0, index) }
            }
        }
    }

    private static func oneEntry(_ change: @escaping @Sendable (inout RMPEntry) -> Void) -> Violation {
        { $0.platform.setEntry(TestPage.large + 511, change) }
    }

    private static let pageCommands: [String: Violation] = [
        "SNP_PAGE_RECLAIM/page-mappable": { $0.edit(PageReclaimBuffer.self) { $0.page = SPA(0xa_0000) } },
        "SNP_PAGE_RECLAIM/page-in-dram": { $0.edit(PageReclaimBuffer.self) { $0.page = SPA(512 << 20) } },
        "SNP_PAGE_RECLAIM/page-size": { scenario in
            scenario.edit(PageReclaimBuffer.self) { $0.pageSize = $0.pageSize == .size4K ? .size2M : .size4K }
        },
        "SNP_PAGE_RECLAIM/page-aligned": { scenario in
            scenario.platform.setEntry(TestPage.large + 1) {
                $0 = firmwareEntry
                $0.pageSize = .size2M
            }
            scenario.edit(PageReclaimBuffer.self) {
                $0.page = (TestPage.large + 1).address
                $0.pageSize = .size2M
            }
        },
        "SNP_PAGE_RECLAIM/page-reclaimable": { $0.platform.setEntry($0.page) { $0.vmsa = true } },
        "SNP_PAGE_UNSMASH/page-aligned": { $0.edit(PageUnsmashBuffer.self) { $0.page = (TestPage.large + 1).address } },
        "SNP_PAGE_UNSMASH/page-covered": { $0.edit(PageUnsmashBuffer.self) { $0.page = TestPage.uncovered.address } },
        "SNP_PAGE_UNSMASH/page-outside-rmp": { scenario in
            scenario.edit(PageUnsmashBuffer.self) { $0.page = scenario.platform.machine.rmp.base }
        },
        "SNP_PAGE_UNSMASH/all-4k": oneEntry { $0.pageSize = .size2M },
        "SNP_PAGE_UNSMASH/all-immutable": oneEntry { $0.immutable = false },
        "SNP_PAGE_UNSMASH/no-vmsa": oneEntry { $0.vmsa = true },
        "SNP_PAGE_UNSMASH/all-guest": entries { entry, _ in entry.asid = .host },
        "SNP_PAGE_UNSMASH/one-owner": oneEntry { $0.asid = ASID(6) },
        "SNP_PAGE_UNSMASH/one-state": oneEntry { $0.validated = true },
        "SNP_PAGE_UNSMASH/one-permission": oneEntry { $0.permissions[.vmpl3] = .read },
        "SNP_PAGE_UNSMASH/consecutive": oneEntry { $0.gfn = GFN($0.gfn.rawValue + 1) },
        "SNP_PAGE_UNSMASH/guest-aligned": entries { entry, _ in entry.gfn = GFN(entry.gfn.rawValue + 1) },
    ]
}
