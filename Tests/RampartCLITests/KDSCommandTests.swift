import ArgumentParser
import Attestation
import KeyDistribution
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart kds serve and report verify --kds")
struct KDSCommandTests {
    /// Runs a body with the server that the arguments start, and its URL.
    private func withServer(_ arguments: [String] = [], _ body: (KeyDistributionServer) throws -> Void) throws {
        let server = try KDSServeCommand.parse(["--port", "0"] + arguments).start()
        defer { server.stop() }
        try body(server)
    }

    private func verify(_ artifacts: ReportArtifacts, _ arguments: [String]) throws -> CommandOutcome {
        var outcome = CommandOutcome()
        try withFile(artifacts.report) { outcome = RampartCommand.execute(["report", "verify", $0] + arguments) }
        return outcome
    }

    private func make(_ product: ProductName, seed: UInt64 = 0) throws -> ReportArtifacts {
        var request = ReportMakeRequest()
        request.product = product
        request.seed = seed
        return try makeReport(request).artifacts
    }

    @Test(
        "a report of version 2 is judged with what the server has, under its own product",
        arguments: ProductName.allCases)
    func verifies(_ product: ProductName) throws {
        let artifacts = try make(product)
        try withServer { server throws in
            let outcome = try verify(artifacts, ["--kds", server.url])
            #expect(outcome.status == .good, "\(outcome)")
            #expect(outcome.output.contains("SEV-\(product.line.rawValue)"))
            #expect(outcome.output.contains("\(server.url)/vcek/v1/\(product.line.rawValue)/cert_chain"))
            #expect(outcome.output.contains("crl       \(server.url)/vcek/v1/\(product.line.rawValue)/crl"))
        }
    }

    @Test("a chip is known if its seed is named")
    func seeds() throws {
        let artifacts = try make(.turin, seed: 77)
        try withServer { server throws in
            let outcome = try verify(artifacts, ["--kds", server.url])
            #expect(outcome.status == .unsupported)
            #expect(outcome.diagnostics.contains("under none of Turin"))
        }
        try withServer(["--chip-seed", "1", "77"]) { server throws in
            #expect(try verify(artifacts, ["--kds", server.url]).status == .good)
        }
    }

    @Test("a chip of certs make is known by the same seed")
    func chipSeed() throws {
        let chip = try ChipCertificates(ChipCertificatesRequest(product: .siena, chipSeed: 5))
        let key = EmulatedChips(seeds: [5]).publicKey(chip.chipIdentifier, chip.tcb, .genoa)
        let certificate = try #require(chip.certificates[.vcek])
        #expect(key != nil)
        #expect(key.map { Array(certificate.publicKeyInfo.suffix(96)) == $0 } == true)
        #expect(EmulatedChips(seeds: [5]).publicKey(chip.chipIdentifier, chip.tcb, .milan) == nil)
    }

    @Test("a list that names the ASK refuses the report")
    func revoked() throws {
        let artifacts = try make(.milan)
        try withServer(["--revoke", "ask"]) { server throws in
            let outcome = try verify(artifacts, ["--kds", server.url])
            #expect(outcome.status == .violation)
            #expect(outcome.output.contains("the ASK certificate is revoked"))
        }
    }

    @Test("faults on the way do not change the verdict")
    func faults() throws {
        let artifacts = try make(.genoa)
        try withServer(["--fault", "truncated:first-1", "--fault", "500:every-3"]) { server throws in
            #expect(try verify(artifacts, ["--kds", server.url]).status == .good)
            #expect(server.counts.faults >= 2)
        }
    }

    @Test("a report that the key of another chip signed is refused by what the server has")
    func otherChip() throws {
        var artifacts = try make(.genoa)
        artifacts.report[0x2a0] ^= 1
        try withServer { server throws in
            let outcome = try verify(artifacts, ["--kds", server.url])
            #expect(outcome.status == .violation)
            #expect(outcome.output.contains("the report's signature is wrong"))
        }
    }

    static let refusals: [([String], String)] = [
        (["kds", "serve", "--port", "65536"], "65536 is not a port"),
        (["kds", "serve", "--port=-1"], "-1 is not a port"),
        (["kds", "serve", "--fault", "418"], "--fault 418: the fault \"418\" is unknown"),
        (["kds", "serve", "--fault", "500:often"], "every-N, first-N or a probability"),
        (["kds", "serve", "--revoke", "vcek"], "Use ark, ask or asvk"), (["kds", "serve", "--chip-seed", "x"], "x"),
        (["report", "verify", "f", "--kds", "https://kdsintf.amd.com"], "only plain http"),
        (["report", "verify", "f", "--kds", "localhost"], "Write http://HOST:PORT"),
        (["report", "verify", "f", "--kds", "http://a", "--certs", "b"], "exclude each other"),
        (["report", "verify", "f"], "--certs is missing"),
    ]

    @Test("what cannot be used is refused with a remedy", arguments: refusals)
    func refused(_ arguments: [String], _ words: String) {
        let outcome = RampartCommand.execute(arguments)
        #expect(outcome.status == .usage)
        #expect(outcome.diagnostics.contains(words), "\(outcome.diagnostics)")
    }

    @Test("a server that is not there leaves the matter open, with status 3")
    func noServer() throws {
        let artifacts = try make(.milan)
        let server = try KDSServeCommand.parse(["--port", "0"]).start()
        server.stop()
        let outcome = try verify(artifacts, ["--kds", server.url])
        #expect(outcome.status == .unsupported)
        #expect(outcome.diagnostics.contains("no connection"))
    }

    @Test("the greeting names the address and the chips, also as JSON")
    func greeting() throws {
        let command = try KDSServeCommand.parse(["--port", "0", "--json"])
        let server = try command.start()
        defer { server.stop() }
        let line = command.greeting(server)
        #expect(line.hasPrefix("{\"url\":\"\(server.url)\",\"port\":\(server.port),\"chips\":[{\"product\":\"Milan\""))
        #expect(line.filter { $0 == "\n" }.count == 1 && line.hasSuffix("\n"))
        let chip = try make(.turin).report[0x1a0..<0x1a8]
        #expect(line.contains("{\"product\":\"Turin\",\"hwid\":\"\(hexadecimal(Array(chip)))\"}"))
        #expect(
            command.farewell(server.counts, "SIGTERM")
                == #"{"signal":"SIGTERM","requests":0,"answers":{},"faults":0,"documentsMade":0}"# + "\n")
    }
}
