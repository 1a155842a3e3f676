// `rampart firmware`: looks after the firmware of a saved platform, by the commands that a host would send.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

struct FirmwareRootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "firmware",
        abstract: "Show, configure, update and commit the firmware of a saved platform.",
        discussion: """
            A platform is a small text file: product, chip, versions and security levels. Each invocation boots the \
            emulated firmware from it, sends one real command and writes the file back. A command that firmware \
            refuses ends with status 1 and names the firmware's status.

              rampart firmware create --platform host.platform --product turin
              rampart firmware status --platform host.platform
              rampart firmware make-image --product turin --version 1.58.3 --svn 25 --out new.fw
              rampart firmware download --platform host.platform new.fw
              rampart firmware commit --platform host.platform
            """,
        subcommands: [
            FirmwareCreateCommand.self, FirmwareStatusCommand.self, FirmwareFeaturesCommand.self,
            FirmwareConfigCommand.self, FirmwareCommitCommand.self, FirmwareDownloadCommand.self,
            FirmwareLoadVLEKCommand.self, FirmwareMakeImageCommand.self,
        ])
}

/// The options that all subcommands with a platform share.
struct PlatformOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File of the saved platform.", valueName: "file"))
    var platform: String

    @Flag(help: "Print JSON.")
    var json = false

    /// Switches the platform on.
    ///
    /// - Throws: `InputError` for the file, `CommandFailure` for the host
    func open() throws -> FirmwareSession {
        let saved: SavedPlatform
        do { saved = try SavedPlatform.load(platform) } catch { throw InputError("\(error)") }
        do { return try FirmwareSession(saved) } catch { throw CommandFailure.unsupported("\(error).") }
    }

    /// Runs one command on the platform, and writes the platform back.
    ///
    /// - Throws: as `open`; `CommandFailure` with status 1 for what firmware refused; `InputError` for the file
    func change(_ body: (FirmwareSession) throws(FirmwareRefusal) -> Void) throws -> CommandOutcome {
        let session = try open()
        try refusing { () throws(FirmwareRefusal) in try body(session) }
        do { try session.saved.save(platform) } catch { throw InputError("\(error)") }
        return try outcome(session)
    }

    /// The status of the platform, in the form that was asked for.
    func outcome(_ session: FirmwareSession) throws -> CommandOutcome {
        let status = try refusing { () throws(FirmwareRefusal) in try session.status() }
        let report = FirmwareReport(status: status, saved: session.saved, chipIdentifier: session.chipIdentifier)
        return CommandOutcome(output: json ? report.json.indented() + "\n" : report.text)
    }
}

/// Turns what firmware refused into a failure of status 1.
func refusing<R>(_ body: () throws(FirmwareRefusal) -> R) throws(CommandFailure) -> R {
    do throws(FirmwareRefusal) { return try body() } catch {
        throw CommandFailure(error.status == nil ? .unsupported : .violation, error.description)
    }
}

/// What `rampart firmware status` and the commands that change a platform print.
struct FirmwareReport {
    var status: PlatformStatus
    var saved: SavedPlatform
    var chipIdentifier: [UInt8]

    private func levels(_ tcb: TCBVersion) -> [(String, UInt8)] {
        let layout = saved.tcbLayout
        let parts = tcb.components(layout)
        let first: [(String, UInt8)] = layout == .turin ? [("fmc", parts.fmc)] : []
        return first + [
            ("bootloader", parts.bootLoader), ("tee", parts.tee), ("snp", parts.snp), ("microcode", parts.microcode),
        ]
    }

    private func words(_ tcb: TCBVersion) -> String {
        "0x\(String(tcb.rawValue, radix: 16)) (" + levels(tcb).map { "\($0) \($1)" }.joined(separator: ", ") + ")"
    }

    private var version: String { "\(status.apiMajor).\(status.apiMinor).\(status.build)" }

    /// The report for a person.
    var text: String {
        func answer(_ feature: PlatformStatus.Features) -> String { status.features.contains(feature) ? "yes" : "no" }
        let lines: [(String, String)] = [
            ("product", saved.productName), ("state", status.state.description), ("firmware", version),
            ("committed firmware", saved.committedVersionText), ("TCB", words(status.currentTCB)),
            ("committed TCB", words(saved.committedTCB)), ("reported TCB", words(status.reportedTCB)),
            ("chip identifier", hexadecimal(chipIdentifier)), ("chip identifier masked", answer(.maskChipID)),
            ("chip key masked", answer(.maskChipKey)), ("VLEK loaded", answer(.vlekEnabled)),
        ]
        return lines.map { padded($0, to: 24) + $1 + "\n" }.joined()
    }

    /// The report for a program.
    var json: JSON {
        func object(_ tcb: TCBVersion) -> JSON {
            .object(
                [("value", .string("0x" + String(tcb.rawValue, radix: 16)))]
                    + levels(tcb).map { ($0, .integer(Int($1))) })
        }
        return .object([
            ("product", .string(saved.productName)), ("state", .string(status.state.description)),
            ("firmware", .string(version)), ("committedFirmware", .string(saved.committedVersionText)),
            ("tcb", object(status.currentTCB)), ("committedTCB", object(saved.committedTCB)),
            ("reportedTCB", object(status.reportedTCB)), ("chipIdentifier", .string(hexadecimal(chipIdentifier))),
            ("chipIdentifierMasked", .boolean(status.features.contains(.maskChipID))),
            ("chipKeyMasked", .boolean(status.features.contains(.maskChipKey))),
            ("vlekLoaded", .boolean(status.features.contains(.vlekEnabled))),
        ])
    }
}
