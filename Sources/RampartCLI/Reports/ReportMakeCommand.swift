// `rampart report make`: a report with its chain, good or deliberately bad.

import ArgumentParser
import Attestation
import Monitor
import Rampart
import SNPArchitecture

struct ReportMakeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make",
        abstract: "Launch a guest, let it ask for a report, and write the report with its certificates.",
        discussion: """
            The certificates are those of Rampart's TEST root, which issues them for the emulated chip. With --tamper the report \
            or its chain is spoilt in a named way, and the reason is printed for which it must be refused; --tamper list \
            prints the names.

              rampart report make --out guest
              rampart report make --product turin --report-version 5 --report-data 00ff --out guest
              rampart report make --tamper cert-chip-id --out bad
            """)

    @Option(help: "The product (milan, genoa, bergamo, siena, turin).", transform: ProductName.init(argument:))
    var product = ProductName.genoa

    @Option(
        help: ArgumentHelp("The report's version, 2, 3 or 5 (default: 2).", valueName: "n"),
        transform: AttestationReportVersion.init(argument:))
    var reportVersion: AttestationReportVersion = .v2

    @Option(help: ArgumentHelp("Firmware image (default: the bundled one).", valueName: "path"))
    var ovmf: String?

    @Option(
        help: ArgumentHelp("What the guest wants in the report: up to 128 hexadecimal digits.", valueName: "hex"),
        transform: { try BinaryArgument($0, limit: 64) })
    var reportData: BinaryArgument?

    @Option(help: ArgumentHelp("The VMPL that the report names, 0 to 3.", valueName: "n"))
    var vmpl: UInt32 = 0

    @Option(help: ArgumentHelp("The key that seals the guest's request, VMPCK 0 to 3.", valueName: "n"))
    var vmpck = 0

    @OptionGroup var owner: OwnerOptions

    @Option(help: ArgumentHelp("Seeds the machine and its chip: equal seeds, equal chips.", valueName: "n"))
    var seed: UInt64 = 0

    @Flag(help: "The host loads a VLEK, which signs.")
    var vlek = false

    @Option(help: ArgumentHelp("The service provider that the VLEK is for.", valueName: "name"))
    var serviceProvider = "Rampart TEST provider"

    @Flag(help: "The guest asks for the VCEK's signature even if a VLEK is loaded.")
    var askVcek = false

    @Flag(help: "The host has the chip's id masked.")
    var maskChipID = false

    @Flag(help: "The host has the chip's key masked, so that it signs nothing.")
    var maskChipKey = false

    @Option(help: ArgumentHelp("Spoil the report or its chain; list prints the ways.", valueName: "way"))
    var tamper: String?

    @Option(help: ArgumentHelp("The folder to write to; made if need be.", valueName: "folder"))
    var out: String?

    @Flag(help: "Print JSON.")
    var json = false

    /// What the arguments ask for.
    ///
    /// - Throws: in check order: `CommandFailure` for the VMPL, the VMPCK, a VMPL below it, the tampering; what the
    ///   owner's options throw
    func request() throws -> ReportMakeRequest {
        guard vmpl <= 3 else { throw CommandFailure.usage("--vmpl \(vmpl) does not exist. Use 0 to 3.") }
        guard (0...3).contains(vmpck) else {
            throw CommandFailure.usage("--vmpck \(vmpck) does not exist. Use 0 to 3.")
        }
        guard vmpl >= vmpck else {
            throw CommandFailure.usage(
                "firmware refuses a report for VMPL \(vmpl) to a request under VMPCK \(vmpck). Use a --vmpl of at least \(vmpck)."
            )
        }
        var request = ReportMakeRequest()
        request.product = product
        request.version = reportVersion
        request.imagePath = ovmf
        request.reportData = reportData?.bytes ?? []
        request.vmpl = vmpl
        request.vmpck = vmpck
        request.seed = seed
        request.serviceProvider = vlek ? serviceProvider : nil
        request.asksForVCEK = askVcek
        request.masksChipID = maskChipID
        request.masksChipKey = maskChipKey
        if let tamper {
            guard let way = ReportTamper(named: tamper) else {
                throw CommandFailure.usage("there is no way \"\(tamper)\" to tamper. --tamper list prints them all.")
            }
            request.tamper = way
        }
        request.owner = try owner.request()
        return request
    }

    func outcome(_ result: ReportMakeResult, files: [String], folder: String) -> CommandOutcome {
        CommandOutcome(
            output: json
                ? result.json(files: files, folder: folder).indented() + "\n"
                : result.text(files: files, folder: folder))
    }

    /// The ways to tamper, a line each.
    static var list: String {
        let width = ReportTamper.all.map(\.name.count).max() ?? 0
        return ReportTamper.all.map { padded($0.name, to: width + 2) + $0.summary + "\n" }.joined()
    }
}

extension ReportMakeResult {
    /// What was made, for a person.
    func text(files: [String], folder: String) -> String {
        var lines = [
            "a guest on an emulated \(request.product.line.rawValue)"
                + (request.product.line.rawValue.lowercased() == request.product.rawValue
                    ? "" : " (\(request.product.rawValue))")
                + " asked for a report of version \(request.version.rawValue) under VMPCK \(request.vmpck)",
            "launch digest  \(hexadecimal(digest))",
        ]
        for name in files { lines.append("wrote  \(folder)/\(name): \(Self.meaning(name, artifacts))") }
        if let tamper = request.tamper { lines.append("tampered with: \(tamper.summary)") }
        if let refusal {
            lines.append("rampart report verify must refuse it: \(refusal)")
        } else {
            lines.append("verify it with: rampart report verify \(folder)/report.bin --certs \(folder)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func meaning(_ name: String, _ artifacts: ReportArtifacts) -> String {
        switch name.split(separator: ".").first ?? "" {
        case "report": "the report, \(artifacts.report.count) bytes"
        case "ark": "Rampart's TEST root"
        case "ask": "the issuer of VCEK certificates"
        case "asvk": "the issuer of VLEK certificates"
        case "vcek": "the chip's certificate"
        case "vlek": "the loaded key's certificate"
        default: "the root's revocation list"
        }
    }

    /// What was made, for a program.
    func json(files: [String], folder: String) -> JSON {
        .object([
            ("product", .string(request.product.rawValue)),
            ("reportVersion", .unsigned(UInt64(request.version.rawValue))),
            ("digest", .string(hexadecimal(digest))), ("folder", .string(folder)),
            ("files", .array(files.map { .string($0) })),
            ("tamper", request.tamper.map { .string($0.name) } ?? .null),
            ("mustBeRefused", .boolean(refusal != nil)), ("cause", refusal.map { .string($0.description) } ?? .null),
        ])
    }
}

extension ReportMakeCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        if tamper == "list" { return CommandOutcome(output: Self.list) }
        guard let out else { throw CommandFailure.usage("--out is missing. Name the folder to write to.") }
        do {
            let result = try makeReport(request(), progress: Progress.show)
            do throws(FileError) {
                return outcome(result, files: try result.artifacts.write(to: out), folder: out)
            } catch { throw InputError(error.description) }
        } catch let failure as LaunchFailure {
            throw CommandFailure(failure)
        } catch GuestRequestFailure.launch(let failure) {
            throw CommandFailure(failure)
        } catch let failure as GuestRequestFailure {
            throw CommandFailure.unsupported(failure.description)
        }
    }
}
