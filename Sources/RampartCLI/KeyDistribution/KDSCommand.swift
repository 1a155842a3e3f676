// `rampart kds serve`: a key distribution server for emulated chips, until a signal ends it.

import ArgumentParser
import Attestation
import KeyDistribution
import Rampart
import SNPArchitecture

struct KDSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kds", abstract: "Act as AMD's key distribution server for emulated chips.",
        subcommands: [KDSServeCommand.self])
}

struct KDSServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve chains, VCEK certificates and revocation lists on 127.0.0.1.",
        discussion: """
            The URLs are those of AMD's server: /vcek/v1/PRODUCT/HWID?blSPL=..&teeSPL=..&snpSPL=..&ucodeSPL=.. (on Turin \
            fmcSPL too), and cert_chain and crl under /vcek/v1/PRODUCT and /vlek/v1/PRODUCT. The certificates are those of \
            Rampart's TEST root. SIGINT or SIGTERM ends the server.

            A fault is 404, 429, 429=SECONDS, 500, slow, slow=MILLISECONDS or truncated; :every-N, :first-N or :PROBABILITY \
            after it says which requests it hits. A client can ask for one with the field X-Rampart-Fault or the parameter \
            rampart-fault.

              rampart kds serve --port 8080
              rampart kds serve --fault 429=2:first-3 --fault 500:0.1 --seed 7
              curl http://127.0.0.1:8080/vcek/v1/Genoa/cert_chain
            """)

    @Option(help: ArgumentHelp("The port; 0 is any that is free.", valueName: "n"))
    var port = 8080

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Seeds of the chips that are known, as in report make --seed and certs make --chip-seed (default: 0).",
            valueName: "n"))
    var chipSeed: [UInt64] = []

    @Option(
        help: ArgumentHelp("Misbehave; may be repeated, and the first that hits counts.", valueName: "fault"),
        transform: FaultRule.init(argument:))
    var fault: [FaultRule] = []

    @Option(help: ArgumentHelp("Seeds the faults that have a probability.", valueName: "n"))
    var seed: UInt64 = 0

    @Option(
        help: "Name an authority in the revocation lists (ark, ask, asvk); may be repeated.",
        transform: CertificateRole.init(revocable:))
    var revoke: [CertificateRole] = []

    @Flag(help: "Print JSON: a line at the start, and one at the end.")
    var json = false

    var chips: EmulatedChips { EmulatedChips(seeds: chipSeed.isEmpty ? [0] : chipSeed) }

    /// Starts the server.
    ///
    /// - Throws: `CommandFailure`, in check order: the port, an address that is taken
    func start() throws -> KeyDistributionServer {
        let chips = chips
        let manufacturer = EmulatedManufacturer(revoking: revoke, now: { .now }) { chips.publicKey($0, $1, $2) }
        do throws(KeyDistributionServerError) {
            return try KeyDistributionServer(
                port: port, faults: FaultPlan(fault, seed: seed), document: manufacturer.document)
        } catch {
            throw CommandFailure.usage("\(error)")
        }
    }

    func greeting(_ server: KeyDistributionServer) -> String {
        let known = AttestationProduct.allCases.flatMap { product in
            chips.identifiers(product).map { (product, hexadecimal(Array($0.prefix(product.chipIDByteCount)))) }
        }
        guard !json else {
            let list = known.map { JSON.object([("product", .string($0.rawValue)), ("hwid", .string($1))]) }
            return JSON.object([("url", .string(server.url)), ("port", .integer(server.port)), ("chips", .array(list))])
                .text + "\n"
        }
        let lines = known.map { "chip      \(padded($0.rawValue, to: 6)) \($1)" }
        return (["listening \(server.url)"] + lines).joined(separator: "\n") + "\n"
    }

    func farewell(_ counts: ServerCounts, _ signal: String) -> String {
        let answers = counts.answers.sorted { $0.key < $1.key }
        guard !json else {
            return JSON.object([
                ("signal", .string(signal)), ("requests", .integer(counts.requests)),
                ("answers", .object(answers.map { (String($0.key), .integer($0.value)) })),
                ("faults", .integer(counts.faults)), ("documentsMade", .integer(counts.documentsMade)),
            ]).text + "\n"
        }
        let words = answers.map { "\($0.value) with \($0.key)" }.joined(separator: ", ")
        return "\(signal): \(counts.requests) requests answered\(words.isEmpty ? "" : ", ")\(words); "
            + "\(counts.faults) faults, \(counts.documentsMade) documents made\n"
    }
}

extension KDSServeCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        // Before the server's threads start, so that no thread takes the signals.
        var signals = TerminationSignals()
        let server = try start()
        guard StandardStream.output.send(greeting(server)) else {
            server.stop()
            throw CommandFailure.unsupported("cannot write standard output. Make room, or keep the reader open.")
        }
        let signal = signals.wait()
        server.stop()
        return CommandOutcome(output: farewell(server.counts, signal))
    }
}

extension FaultRule {
    fileprivate init(argument: String) throws {
        do throws(FaultSyntaxError) { self = try FaultRule(parsing: argument) } catch {
            throw CommandFailure.usage("--fault \(argument): \(error)")
        }
    }
}

extension CertificateRole {
    fileprivate init(revocable: String) throws {
        guard let role = [CertificateRole.ark, .ask, .asvk].first(where: { $0.rawValue.lowercased() == revocable })
        else {
            throw CommandFailure.usage("--revoke \(revocable): no list names it. Use ark, ask or asvk.")
        }
        self = role
    }
}
