// `rampart report verify`: judges a report, and says what the verdict rests on.

import ArgumentParser
import Attestation
import Rampart
import SNPArchitecture

struct ReportVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Judge a report against its certificates and a policy.",
        discussion: """
            The certificates are found by what they say; the files may have any name and be PEM, DER or a table of \
            certificates. The root among them is believed, and the verdict says whose it is: use --require-amd-root or --ark \
            to believe no other. A revocation list among the files is applied.

            Ends with status 1 if the report is refused, and names the cause.

              rampart report verify report.bin --certs certs
              rampart report verify report.hex --certs certs --require-amd-root --min-tcb bl=3,snp=8
            """)

    @Argument(help: ArgumentHelp("The report's file: 1184 bytes or their hexadecimal digits.", valueName: "file"))
    var file: String

    @OptionGroup var certificates: CertificateOptions
    @OptionGroup(title: "Policy") var policy: ReportPolicyOptions

    @Option(help: ArgumentHelp("Revocation list, PEM or DER.", valueName: "file"))
    var crl: String?

    @Option(
        help: ArgumentHelp("The moment at which everything must hold (default: now).", valueName: "time"),
        transform: CertificateTime.init(argument:))
    var at: CertificateTime?

    @Option(
        help: "The product that the report must come from (milan, genoa, bergamo, siena, turin).",
        transform: ProductName.init(argument:))
    var product: ProductName?

    @Option(help: ArgumentHelp("Believe this root and no other.", valueName: "file"))
    var ark: String?

    @Flag(help: "Believe AMD's roots and no other.")
    var requireAmdRoot = false

    @Flag(help: "Print JSON.")
    var json = false

    /// What the arguments ask for.
    ///
    /// - Throws: `CommandFailure`, in check order: both roots, the source of certificates, the policy
    func request() throws -> ReportVerifyRequest {
        guard ark == nil || !requireAmdRoot else {
            throw CommandFailure.usage("--ark and --require-amd-root exclude each other. Use one.")
        }
        var request = ReportVerifyRequest(
            reportPath: file, source: try certificates.source(product: product), date: at ?? .now)
        request.revocationListPath = crl
        request.product = product?.line
        request.policy = try policy.policy(product: product)
        request.root = ark.map { .file($0) } ?? (requireAmdRoot ? .amd : .given)
        return request
    }

    func outcome(_ verdict: ReportVerdict) -> CommandOutcome {
        CommandOutcome(
            output: json ? verdict.json.indented() + "\n" : verdict.text, status: verdict.isGood ? .good : .violation)
    }
}

extension ReportVerdict {
    private var layout: TCBLayout {
        (chain?.product ?? request.product ?? report?.likelyProduct)?.tcbLayout ?? .milanGenoa
    }

    /// The verdict for a person.
    var text: String {
        var lines = ["\(isGood ? "VERIFIED" : "REFUSED ")  \(request.reportPath)"]
        lines += refusals.map { "cause     \($0)" }
        if let report {
            lines.append("report    version \(report.version.rawValue), VMPL \(report.vmpl), \(report.policy.text)")
            lines.append("tcb       \(report.reportedTCB.components(layout).text(layout))")
            lines.append("measured  \(hexadecimal(report.measurement))")
        }
        if let chain {
            let names = [chain.endorsement, chain.authority.intermediate, chain.authority.ark].map(\.subject.commonName)
            lines.append("chain     \(names.joined(separator: " < ")), \(chain.product.rawValue)")
        }
        if let root { lines.append("root      \(root)") }
        lines += places.map { "from      \($0)" }
        lines.append("crl       \(revocationListPlace ?? "none was given: nothing is known of revocation")")
        lines.append("at        \(request.date)")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The verdict for a program.
    var json: JSON {
        .object([
            ("good", .boolean(isGood)), ("file", .string(request.reportPath)),
            ("causes", .array(refusals.map { .string($0.description) })),
            ("product", chain.map { .string($0.product.rawValue) } ?? .null),
            ("root", root.map { .string($0.word) } ?? .null),
            ("signer", chain.map { .string($0.role.rawValue) } ?? .null),
            ("certificates", .array(places.map { .string($0) })),
            ("revocationList", revocationListPlace.map { .string($0) } ?? .null),
            ("at", .integer(Int(request.date.secondsSince1970))), ("report", report?.json(layout) ?? .null),
        ])
    }
}

extension ReportVerifyCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        do { return outcome(try verifyReport(request())) } catch let failure as CertificateSourceFailure {
            throw CommandFailure.unsupported(failure.description)
        }
    }
}
