// `rampart report show`: every field of a report in words. It judges nothing.

import ArgumentParser
import Attestation
import Monitor
import Rampart
import SNPArchitecture

struct ReportShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show every field of a report in words. Nothing is verified.",
        discussion: """
            The file holds the report's 1184 bytes or their hexadecimal digits.

              rampart report show report.bin
              rampart report show report.hex --json
            """)

    @Argument(help: ArgumentHelp("The report's file.", valueName: "file"))
    var file: String

    @Option(
        help: "The product, where the report does not say it (milan, genoa, bergamo, siena, turin).",
        transform: ProductName.init(argument:))
    var product: ProductName?

    @Flag(help: "Print JSON.")
    var json = false

    func outcome(_ report: AttestationReport) -> CommandOutcome {
        let layout = (product?.line ?? report.likelyProduct)?.tcbLayout ?? .milanGenoa
        return CommandOutcome(
            output: json ? report.json(layout).indented() + "\n" : report.text(layout))
    }
}

extension ReportShowCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let bytes: [UInt8]
        do throws(FileError) { bytes = try readReport(file) } catch { throw InputError(error.description) }
        do throws(ReportFormatError) { return outcome(try AttestationReport(decoding: bytes)) } catch {
            throw CommandFailure(.violation, "\(file): \(error).")
        }
    }
}
