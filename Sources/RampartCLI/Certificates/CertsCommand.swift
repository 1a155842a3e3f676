// `rampart certs`: the certificates of emulated chips, and the forms that chains come in.

import ArgumentParser
import Attestation
import Monitor
import Rampart
import SNPArchitecture

struct CertsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Make, verify, and convert the certificates that vouch for reports.",
        discussion: """
            Both import and export have snphost's meaning: the table is what a host hands to its guests with an extended guest request.

              rampart certs make --product milan --chip-seed 1 --out certs
              rampart certs verify certs
              rampart certs import certs certs.bin
              rampart certs export pem certs.bin certs
            """,
        subcommands: [
            CertsMakeCommand.self, CertsVerifyCommand.self, CertsImportCommand.self, CertsExportCommand.self,
        ])
}

struct CertsMakeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make", abstract: "Issue the certificates of an emulated chip, under Rampart's TEST root.")

    @Option(help: "The product (milan, genoa, bergamo, siena, turin).", transform: ProductName.init(argument:))
    var product = ProductName.genoa

    @Option(help: ArgumentHelp("Seeds the chip's id and keys.", valueName: "n"))
    var chipSeed: UInt64 = 0

    @Option(
        help: ArgumentHelp(
            "The TCB that is certified, such as bl=9,tee=0,snp=23,ucode=72, or its 64 bits.", valueName: "levels"),
        transform: TCBArgument.init(argument:))
    var tcb: TCBArgument?

    @Option(help: "How the certificates are written (pem, der).", transform: CertificateEncoding.init(argument:))
    var encoding = CertificateEncoding.pem

    @Option(help: ArgumentHelp("The folder to write to; made if need be.", valueName: "folder"))
    var out: String

    @Flag(help: "Print JSON.")
    var json = false

    func request() -> ChipCertificatesRequest {
        let layout = product.line.tcbLayout
        let version = tcb.map { argument in
            argument.number.map { TCBVersion(rawValue: $0) } ?? TCBVersion(argument.components(layout), layout: layout)
        }
        return ChipCertificatesRequest(product: product, chipSeed: chipSeed, tcb: version)
    }
}

extension CertsMakeCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let made = try ChipCertificates(request())
        let names = try made.write(to: out, as: encoding)
        let layout = product.line.tcbLayout
        let levels = made.tcb.components(layout)
        if json {
            let value = JSON.object([
                ("product", .string(product.rawValue)), ("chipID", .string(hexadecimal(made.chipIdentifier))),
                ("tcb", .object(levels.json(layout))), ("folder", .string(out)),
                ("files", .array(names.map { .string($0) })),
            ])
            return CommandOutcome(output: value.indented() + "\n")
        }
        let lines = [
            "chip id  \(hexadecimal(made.chipIdentifier))", "tcb      \(levels.text(layout))",
        ]
        return CommandOutcome(output: (lines + names.map { "wrote    \(out)/\($0)" }).joined(separator: "\n") + "\n")
    }
}

struct CertsVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Judge a chain of certificates, from the chip's up to the root.",
        discussion: """
            Ends with status 1 if the chain is refused, and names the cause. With --authorities no chip's certificate is \
            needed: each ASK and ASVK that is found is judged under its root.

              rampart certs verify certs
              rampart certs verify --authorities --require-amd-root amd
            """)

    @Argument(help: ArgumentHelp("Folder or file with certificates.", valueName: "path"))
    var path: String

    @Option(
        help: ArgumentHelp("The moment at which everything must hold (default: now).", valueName: "time"),
        transform: CertificateTime.init(argument:))
    var at: CertificateTime?

    @Flag(help: "Believe AMD's roots and no other.")
    var requireAmdRoot = false

    @Flag(help: "Judge roots and intermediates only.")
    var authorities = false

    @Flag(help: "Print JSON.")
    var json = false

    func outcome(_ verdicts: [ChainVerdict]) -> CommandOutcome {
        let value = authorities ? JSON.array(verdicts.map(\.json)) : verdicts.first?.json ?? .null
        return CommandOutcome(
            output: json ? value.indented() + "\n" : verdicts.map { $0.text(path) }.joined(separator: "\n"),
            status: verdicts.allSatisfy { $0.refusal == nil } ? .good : .violation)
    }
}

extension ChainVerdict {
    func text(_ path: String) -> String {
        var lines = ["\(refusal == nil ? "VERIFIED" : "REFUSED ")  \(path)"]
        if let refusal { lines.append("cause     \(refusal)") }
        for link in links {
            let certificate = link.certificate
            lines.append(
                padded(link.role.rawValue, to: 10) + "\(certificate.subject), \(certificate.notBefore) to "
                    + "\(certificate.notAfter), \(link.place)")
        }
        if let root { lines.append("root      \(root)") }
        lines.append("crl       \(revocationListPlace ?? "none was given: nothing is known of revocation")")
        return lines.joined(separator: "\n") + "\n"
    }

    var json: JSON {
        .object([
            ("good", .boolean(refusal == nil)), ("cause", refusal.map { .string($0.description) } ?? .null),
            ("root", root.map { .string($0.word) } ?? .null),
            (
                "certificates",
                .array(
                    links.map { link in
                        .object([
                            ("role", .string(link.role.rawValue)),
                            ("subject", .string(link.certificate.subject.commonName)),
                            ("notBefore", .integer(Int(link.certificate.notBefore.secondsSince1970))),
                            ("notAfter", .integer(Int(link.certificate.notAfter.secondsSince1970))),
                            ("file", .string(link.place)),
                        ])
                    })
            ),
            ("revocationList", revocationListPlace.map { .string($0) } ?? .null),
        ])
    }
}

extension CertsVerifyCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let date = at ?? .now
        return outcome(
            authorities
                ? try verifyAuthorities(path, at: date, requiresAMD: requireAmdRoot)
                : [try verifyCertificates(path, at: date, requiresAMD: requireAmdRoot)])
    }
}

extension CertificateEncoding {
    init(argument: String) throws {
        guard let encoding = CertificateEncoding(rawValue: argument.lowercased()) else {
            throw CommandFailure.usage("the encoding is unknown. Use pem or der.")
        }
        self = encoding
    }
}
