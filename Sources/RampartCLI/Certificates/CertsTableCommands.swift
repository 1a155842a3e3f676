// `rampart certs import` and `export`: between a folder and the table that a host hands to its guests.

import ArgumentParser
import Attestation
import Monitor
import Rampart

struct CertsImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a table of the certificates in a folder.",
        discussion: """
            The certificates are found by what they say, PEM or DER, and written in DER.

              rampart certs import certs certs.bin
            """)

    @Argument(help: ArgumentHelp("The folder with certificates.", valueName: "dir-path"))
    var folder: String

    @Argument(help: ArgumentHelp("The table to write.", valueName: "cert-file"))
    var table: String
}

extension CertsImportCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let made = try importCertificates(folder)
        let bytes = made.table.encoded
        do throws(FileError) { try writeFile(table, bytes) } catch { throw InputError(error.description) }
        let lines = made.moves.map { padded($0.to, to: 6) + $0.from } + ["wrote \(table): \(bytes.count) bytes"]
        return CommandOutcome(output: lines.joined(separator: "\n") + "\n")
    }
}

struct CertsExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write the certificates of a table to files of their own.",
        discussion: "  rampart certs export pem certs.bin certs")

    @Argument(
        help: ArgumentHelp("How the certificates are written: pem or der.", valueName: "encoding"),
        transform: CertificateEncoding.init(argument:))
    var encoding: CertificateEncoding

    @Argument(help: ArgumentHelp("The table.", valueName: "cert-file"))
    var table: String

    @Argument(help: ArgumentHelp("The folder to write to; made if need be.", valueName: "dir-path"))
    var folder: String
}

extension CertsExportCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let moves = try exportCertificates(table, to: folder, as: encoding)
        return CommandOutcome(output: moves.map { "wrote \($0.to)\n" }.joined())
    }
}
