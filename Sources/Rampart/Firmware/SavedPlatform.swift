// A platform as a text file: what an emulated chip and its firmware keep while the power is off. A property on each line.

public import Machine
public import Monitor
public import SNPArchitecture
public import SecureProcessor

/// A platform that is switched off.
public struct SavedPlatform: Hashable, Sendable {
    /// The largest file that is read.
    public static let maximumFileByteCount = 64 << 10

    /// The emulated product.
    public var product: Product
    /// The chip: its identifier and its keys follow from it.
    public var chipSeed: UInt64
    /// The firmware that runs when the power is on.
    public var version: FirmwareVersion
    /// The security levels that run.
    public var tcb: TCBVersion
    /// The version that is committed.
    public var committedVersion: FirmwareVersion
    /// The security levels that are committed.
    public var committedTCB: TCBVersion
    /// REPORTED_TCB; nil for the committed levels.
    public var reportedTCB: TCBVersion?
    /// MASK_CHIP_ID.
    public var maskChipID = false
    /// MASK_CHIP_KEY.
    public var maskChipKey = false
    /// The VLEK that is loaded.
    public var vlek: VLEKOrigin?

    /// Makes a new platform: everything that runs is committed.
    public init(
        product: Product, chipSeed: UInt64, version: FirmwareVersion = FirmwareConfiguration().version,
        tcb: TCBVersion? = nil
    ) {
        self.product = product
        self.chipSeed = chipSeed
        self.version = version
        let layout = product.attestationProduct.tcbLayout
        let levels = TCBComponents(
            fmc: layout == .turin ? 1 : 0, bootLoader: 9, tee: 0, snp: 23, microcode: 72)
        self.tcb = tcb ?? TCBVersion(levels, layout: layout)
        committedVersion = version
        committedTCB = self.tcb
    }

    /// The configuration with which firmware boots to this platform.
    public var firmware: FirmwareConfiguration {
        var configuration = FirmwareConfiguration(
            version: version, currentTCB: tcb, committedTCB: committedTCB, chipSeed: chipSeed)
        configuration.committedVersion = committedVersion
        configuration.reportedTCB = reportedTCB
        configuration.maskChipID = maskChipID
        configuration.maskChipKey = maskChipKey
        configuration.vlek = vlek
        return configuration
    }

    /// Takes over what firmware has become.
    mutating func update(from configuration: FirmwareConfiguration) {
        version = configuration.version
        tcb = configuration.currentTCB ?? tcb
        committedVersion = configuration.committedVersion ?? committedVersion
        committedTCB = configuration.committedTCB ?? committedTCB
        reportedTCB = configuration.reportedTCB
        maskChipID = configuration.maskChipID
        maskChipKey = configuration.maskChipKey
    }

    // MARK: Text

    /// The file's text.
    public var text: String {
        func number(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
        let lines: [(Property, String)] = [
            (.product, product.rawValue), (.chipSeed, number(chipSeed)), (.version, version.description),
            (.tcb, number(tcb.rawValue)), (.committedVersion, committedVersion.description),
            (.committedTCB, number(committedTCB.rawValue)),
            (.reportedTCB, reportedTCB.map { number($0.rawValue) } ?? "committed"),
            (.maskChipID, maskChipID ? "yes" : "no"), (.maskChipKey, maskChipKey ? "yes" : "no"),
            (.vlek, vlek.map { number($0.seed) + " " + number($0.tcb.rawValue) } ?? "none"),
        ]
        return "# An emulated platform, switched off. Written by rampart firmware.\n"
            + lines.map { "\($0.rawValue) \($1)\n" }.joined()
    }

    /// What a line may start with.
    enum Property: String, CaseIterable {
        case product
        case chipSeed = "chip-seed"
        case version
        case tcb
        case committedVersion = "committed-version"
        case committedTCB = "committed-tcb"
        case reportedTCB = "reported-tcb"
        case maskChipID = "mask-chip-id"
        case maskChipKey = "mask-chip-key"
        case vlek
    }

    /// Reads a platform from a file.
    ///
    /// - Throws: `FileError`, or what `init(parsing:path:)` throws
    public static func load(_ path: String) throws -> SavedPlatform {
        try SavedPlatform(parsing: readFile(path, limit: maximumFileByteCount), path: path)
    }

    /// Writes the platform to a file.
    ///
    /// - Throws: why the file cannot be written
    public func save(_ path: String) throws(FileError) { try writeFile(path, Array(text.utf8)) }
}
