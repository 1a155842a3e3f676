// `rampart report`: makes, shows and judges attestation reports.

import ArgumentParser

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Make, show and verify attestation reports.",
        discussion: """
              rampart report make --out guest
              rampart report show guest/report.bin
              rampart report verify guest/report.bin --certs guest
            """,
        subcommands: [ReportMakeCommand.self, ReportShowCommand.self, ReportVerifyCommand.self])
}
