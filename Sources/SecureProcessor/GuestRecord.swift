// What firmware keeps of one guest.
//
// On hardware this lies in the guest context page, encrypted with a key that only firmware has. Here it is a Swift value,
// found by the page; the page itself holds zeros under the firmware's own key, so that x86 reads ciphertext there too.

internal import Machine
internal import SNPArchitecture

/// Whether and how far a guest has been given its ASID.
enum Activation: Hashable {
    /// No ASID.
    case inactive
    /// ASID and key are in place; the guest may not run before its launch ends.
    case pending
    /// The guest may run.
    case active
}

/// The content of a guest context page.
struct GuestRecord {
    var state = GuestState.initialized
    var activation = Activation.inactive
    var asid = ASID.host
    /// The guest's memory encryption key, 16 bytes.
    var vek: [UInt8]
    /// The name of that key while it is installed.
    var keyID: KeyID?
    var policy = GuestPolicy()
    /// LD.
    var launchDigest = LaunchDigest()
    /// What went into LD, page by page, if the firmware was asked to remember it.
    var measuredPages: [PageInfo] = []
    /// IMD.
    var imageDigest = LaunchDigest()
    var initialMigrationImage = false
    var gosvw = [UInt8](repeating: 0, count: 16)
    var desiredTSCKilohertz: UInt32 = 0
    var vmpck: [[UInt8]] = []
    /// For each VMPCK the number of the last message: even, as requests are odd and answers even.
    var messageCounts: [UInt64] = [0, 0, 0, 0]
    /// The offline encryption key: pages that are swapped out.
    var oek: [UInt8] = []
    /// How often that key has sealed: the next nonce.
    var oekCount: UInt64 = 0
    /// The entry of the first page of metadata, where the chain of metadata pages ends.
    var rootMetadata = MetadataEntry()
    var vmrk: [UInt8] = []
    var reportID = [UInt8](repeating: 0, count: 32)
    var migrationAgentReportID = [UInt8](repeating: 0xff, count: 32)
    /// The context page of the migration agent.
    var migrationAgent: PFN?
    /// The committed TCB when the context was made.
    var launchTCB: TCBVersion
    /// The firmware that made the context.
    var firmwareVersion: FirmwareVersion
    /// The mitigations that were verified when the context was made.
    var launchMitigations: UInt64 = 0
    var hostData = [UInt8](repeating: 0, count: 32)
    var idBlock: IDBlock?
    var authorKeyIsEnabled = false
    var vcekIsDisabled = false
    var idKeyDigest = [UInt8](repeating: 0, count: 48)
    var authorKeyDigest = [UInt8](repeating: 0, count: 48)

    init(vek: [UInt8], launchTCB: TCBVersion, firmwareVersion: FirmwareVersion) {
        self.vek = vek
        self.launchTCB = launchTCB
        self.firmwareVersion = firmwareVersion
    }
}
