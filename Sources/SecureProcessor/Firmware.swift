// The firmware's whole state, and the path that every command takes: copy the buffer in, then run its handler.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

/// What the firmware knows between two commands.
struct Firmware {
    let configuration: FirmwareConfiguration
    let machine: MachineConfiguration
    let memory: PhysicalMemory
    let rmp: ReverseMapTable
    let cores: Cores
    let iommu: IOMMU
    let tcbLayout: TCBLayout
    /// The key under which guest context pages are stored. No ASID names it, so to x86 they are ciphertext.
    let contextKey: KeyID
    var entropy: EntropySource

    /// UNINIT or INIT.
    var state = PlatformState.uninitialized
    /// The TCB that was committed when the RMP was built; nil while it is not initialised.
    var rmpTCB: TCBVersion?
    /// Guests from LAUNCH_START to DECOMMISSION.
    var guestCount: UInt32 = 0
    /// What SNP_INIT_EX was asked for.
    var options = InitOptions()
    /// Pages that are Firmware-IOMMU since SNP_INIT.
    var iommuPages: [PFN] = []
    /// A bit for each mitigation that SNP_VERIFY_MITIGATION has verified since boot.
    var verifiedMitigations: UInt64 = 0
    /// What the legacy SEV commands see and change.
    var legacy = LegacyPlatform()
    var asids: ASIDTable
    /// Guest contexts by their page.
    var guests: [PFN: GuestRecord] = [:]
    /// Guests remember what their launch digests are made of. No equivalent on hardware.
    var remembersMeasuredPages = false
    /// The version that runs: the configuration's until an image is downloaded.
    var version: FirmwareVersion
    var currentTCB: TCBVersion
    var committedTCB: TCBVersion
    /// SNP_CONFIG's REPORTED_TCB; nil for the committed one.
    var configuredTCB: TCBVersion?
    var maskChipID = false
    var maskChipKey = false
    /// The version that SNP_COMMIT made the least.
    var committedVersion: FirmwareVersion
    let chip: ChipSecret
    /// The VCEK of the TCB that was reported last.
    var knownVCEK: (tcb: TCBVersion, key: EndorsementKey)?
    var vlek: LoadedVLEK?
    /// Where that key came from, if it came from a saved platform.
    var vlekOrigin: VLEKOrigin?

    init(machine: Machine, configuration: FirmwareConfiguration) {
        self.configuration = configuration
        self.machine = machine.configuration
        memory = machine.memory
        rmp = machine.rmp
        cores = machine.cores
        iommu = machine.iommu
        version = configuration.version
        tcbLayout = machine.configuration.product.attestationProduct.tcbLayout
        let levels = TCBComponents(
            fmc: tcbLayout == .turin ? 1 : 0, bootLoader: 9, tee: 0, snp: 23, microcode: 72)
        currentTCB = configuration.currentTCB ?? TCBVersion(levels, layout: tcbLayout)
        committedTCB = configuration.committedTCB ?? currentTCB
        committedVersion = configuration.committedVersion ?? configuration.version
        configuredTCB = configuration.reportedTCB
        maskChipID = configuration.maskChipID
        maskChipKey = configuration.maskChipKey
        chip = ChipSecret(
            seed: configuration.chipSeed ?? EmulatedChip.seed(ofMachine: machine.configuration.seed),
            product: machine.configuration.product)
        var entropy = EntropySource(seed: configuration.seed ?? (machine.configuration.seed ^ 0x5350_5345_4544_0001))
        contextKey = machine.encryption.installKey(Self.random(16, from: &entropy), for: Self.contextKeyASID)
        machine.encryption.removeKey(of: Self.contextKeyASID)
        self.entropy = entropy
        asids = ASIDTable(
            asidCount: machine.configuration.asidCount, coreCount: machine.cores.all.count,
            coresPerCCX: configuration.coresPerCCX)
        vlekOrigin = configuration.vlek
        vlek = vlekOrigin.map { origin in
            LoadedVLEK(sticks: Self.vlekSticks(origin, machine.configuration.product))
        }
    }

    /// An ASID that no guest can have, to install the context key by.
    private static let contextKeyASID = ASID(.max)

    /// Runs one command to its end.
    ///
    /// - Spec: FWABI 56860, "Command buffers": the buffer is copied in before anything else is looked at
    mutating func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus {
        if let row = LegacyCommandTable.row(for: command) { return executeLegacy(row, buffer: buffer) }
        guard let row = CommandTable.row(for: command), features.isSuperset(of: row.requires) else {
            return .invalidCommand
        }
        do throws(FirmwareStatus) {
            let bytes = try copyIn(buffer, byteCount: row.bufferSize)
            try row.run(&self, bytes)
            return .success
        } catch {
            return error
        }
    }

    /// Bytes nobody can guess, and that are the same in each run with the same seed.
    mutating func random(_ byteCount: Int) -> [UInt8] { Self.random(byteCount, from: &entropy) }

    private static func random(_ byteCount: Int, from entropy: inout EntropySource) -> [UInt8] {
        (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: entropy.next() >> 56) }
    }

    /// The TCB that reports and SNP_PLATFORM_STATUS show.
    var reportedTCB: TCBVersion { configuredTCB ?? committedTCB }
}
