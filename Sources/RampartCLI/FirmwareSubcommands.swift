// The subcommands of `rampart firmware`.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

struct FirmwareStatusCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show versions, security levels and what reports hide (SNP_PLATFORM_STATUS).")
    @OptionGroup var options: PlatformOptions

    func perform() throws -> CommandOutcome { try options.outcome(options.open()) }
}

struct FirmwareFeaturesCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Show what the firmware can do (SNP_FEATURE_INFO).")
    @OptionGroup var options: PlatformOptions

    /// Guest messages in the order of their bits.
    private static let messages = [
        "CPUID", "KEY", "REPORT", "EXPORT", "IMPORT", "ABSORB", "VMRK", "ABSORB_NOMA", "TSC_INFO",
    ]

    func perform() throws -> CommandOutcome {
        let session = try options.open()
        let leaves = try refusing { () throws(FirmwareRefusal) in
            [try session.featureInfo(0), try session.featureInfo(1)]
        }
        let features = FirmwareFeatures(rawValue: leaves[0].ecx)
        let has = FirmwareFeatures.named.map { ($0.name, features.contains($0.feature)) }
        let messages = Self.messages.enumerated().filter { leaves[1].eax >> UInt32($0.offset) & 1 == 1 }.map(\.element)
        guard !options.json else {
            let json = JSON.object(
                has.map { ($0, .boolean($1)) } + [
                    ("LEGACY_COMMANDS", .boolean(leaves[0].ebx & 1 == 1)),
                    ("guestMessages", .array(messages.map { .string($0) })),
                ])
            return CommandOutcome(output: json.indented() + "\n")
        }
        let rows = has + [("LEGACY_COMMANDS", leaves[0].ebx & 1 == 1)]
        let text = rows.map { padded($0, to: 24) + ($1 ? "yes" : "no") + "\n" }.joined()
        return CommandOutcome(output: text + padded("guest messages", to: 24) + messages.joined(separator: " ") + "\n")
    }
}

struct FirmwareCreateCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Write the file of a new platform, over an old one if there is one.")
    @OptionGroup var options: PlatformOptions
    @Option(help: "The product (milan, genoa, bergamo, siena, turin).", transform: ProductName.init(argument:))
    var product = ProductName.genoa
    @Option(
        help: ArgumentHelp("Seed of the chip: its identifier and keys follow from it.", valueName: "number"),
        transform: unsignedArgument)
    var chipSeed: UInt64 = 1
    @Option(help: ArgumentHelp("Version of the firmware (default: 1.55.21).", valueName: "version"))
    var version: String?

    func perform() throws -> CommandOutcome {
        let saved = try SavedPlatform(product: product, chipSeed: chipSeed, version: version)
        do { try saved.save(options.platform) } catch { throw InputError("\(error)") }
        return try options.outcome(options.open())
    }
}

struct FirmwareConfigCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Set the reported TCB and what reports hide (SNP_CONFIG).",
        discussion: "What is not given stays as it is.")
    @OptionGroup var options: PlatformOptions
    @Option(help: ArgumentHelp("The TCB that reports show: 0x4817000000000009, or committed.", valueName: "tcb"))
    var reportedTCB: String?
    @Option(help: ArgumentHelp("Hide the chip's identifier in reports: yes or no.", valueName: "answer"))
    var maskChipID: String?
    @Option(help: ArgumentHelp("Sign no report with the chip's key: yes or no.", valueName: "answer"))
    var maskChipKey: String?

    func perform() throws -> CommandOutcome {
        let (maskID, maskKey) = (try answer("--mask-chip-id", maskChipID), try answer("--mask-chip-key", maskChipKey))
        let wanted = try reportedTCB.map { text throws -> TCBVersion? in
            guard text != "committed" else { return nil }
            guard let number = unsignedInteger(text) else {
                throw CommandFailure.usage("--reported-tcb '\(text)' is no TCB. Write it as 0x4817000000000009.")
            }
            return TCBVersion(rawValue: number)
        }
        return try options.change { session throws(FirmwareRefusal) in
            let now = session.saved
            try session.configure(
                reportedTCB: wanted ?? now.reportedTCB, maskChipID: maskID ?? now.maskChipID,
                maskChipKey: maskKey ?? now.maskChipKey)
        }
    }

    private func answer(_ option: String, _ text: String?) throws -> Bool? {
        guard text == nil || text == "yes" || text == "no" else {
            throw CommandFailure.usage("\(option) is yes or no.")
        }
        return text.map { $0 == "yes" }
    }
}

struct FirmwareCommitCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "commit", abstract: "Rule out a return to older firmware (SNP_COMMIT).")
    @OptionGroup var options: PlatformOptions

    func perform() throws -> CommandOutcome {
        try options.change { session throws(FirmwareRefusal) in try session.commit() }
    }
}

struct FirmwareDownloadCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "download", abstract: "Run another image of the firmware (SNP_DOWNLOAD_FIRMWARE_EX).")
    @OptionGroup var options: PlatformOptions
    @Flag(help: "Commit it at once.") var commit = false
    @Argument(help: ArgumentHelp("The image, made by 'rampart firmware make-image'.", valueName: "image"))
    var image: String

    func perform() throws -> CommandOutcome {
        let bytes: [UInt8]
        do { bytes = try readFile(image, limit: FirmwareSession.maximumImageByteCount) } catch {
            throw InputError("\(error)")
        }
        return try options.change { session throws(FirmwareRefusal) in
            try session.download(bytes, commits: commit)
        }
    }
}

struct FirmwareLoadVLEKCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "load-vlek", abstract: "Load an endorsement key of the host's owner (SNP_VLEK_LOAD).")
    @OptionGroup var options: PlatformOptions
    @Option(help: ArgumentHelp("Seed that the key follows from.", valueName: "number"), transform: unsignedArgument)
    var seed: UInt64 = 1

    func perform() throws -> CommandOutcome {
        try options.change { session throws(FirmwareRefusal) in try session.loadVLEK(seed: seed) }
    }
}

struct FirmwareMakeImageCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-image", abstract: "Write an image of emulated firmware, signed with a TEST key.")
    @Option(help: "The product (milan, genoa, bergamo, siena, turin).", transform: ProductName.init(argument:))
    var product = ProductName.genoa
    @Option(help: ArgumentHelp("Version of the image, such as 1.58.3.", valueName: "version"))
    var version: String
    @Option(help: ArgumentHelp("Security version: the SNP level of the TCB.", valueName: "number"))
    var svn: UInt8
    @Option(help: ArgumentHelp("Where the image goes.", valueName: "file"))
    var out: String

    func perform() throws -> CommandOutcome {
        let image = try SavedPlatform.firmwareImage(product: product, version: version, securityVersion: svn)
        do { try writeFile(out, image) } catch { throw InputError("\(error)") }
        return CommandOutcome(output: "\(out): firmware \(version) for \(product.rawValue), \(image.count) bytes\n")
    }
}

/// An unsigned number of the command line.
@Sendable func unsignedArgument(_ text: String) throws -> UInt64 {
    guard let number = unsignedInteger(text) else {
        throw CommandFailure.usage("'\(text)' is no number of up to 64 bits. Write it as 31 or 0x1f.")
    }
    return number
}
