import Attestation
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

/// One way to spoil the real report or its chain, and the words of the refusal.
struct RealMutation: Sendable, CustomTestStringConvertible {
    var name: String
    var cause: String
    var options: [String]
    var change: @Sendable (inout [String: [UInt8]]) throws -> Void
    var testDescription: String { name }

    init(
        _ name: String, _ cause: String, _ options: [String] = [],
        _ change: @escaping @Sendable (inout [String: [UInt8]]) throws -> Void = { _ in }
    ) {
        (self.name, self.cause, self.options, self.change) = (name, cause, options, change)
    }

    /// Flips bits of a byte; a negative offset counts from the end.
    static func flip(_ file: String, _ offset: Int, _ mask: UInt8 = 1)
        -> @Sendable (inout [String: [UInt8]]) throws -> Void
    {
        { files in
            let count = files[file]?.count ?? 0
            files[file]?[offset < 0 ? count + offset : offset] ^= mask
        }
    }

    static let wrong = "the report's signature is wrong"

    /// A bit of each field that only the signature protects.
    static let fields: [RealMutation] = AttestationReport.fields(.v2).filter { field in
        field.offset < 0x2a0 && field.kind != .reserved
            && !["VERSION", "SIGNATURE_ALGO", "KEY_INFO"].contains(field.name)
    }.map { field in RealMutation(field.name, wrong, [], flip("report.bin", field.offset + field.byteCount - 1, 4)) }

    static let forms: [RealMutation] = [
        RealMutation("version 0", "report version 0 is not known", [], flip("report.bin", 0, 2)),
        RealMutation("version 1", "report version 1 is not known", [], flip("report.bin", 0, 3)),
        RealMutation("version 6", "report version 6 is not known", [], flip("report.bin", 0, 4)),
        RealMutation("version 3", wrong, [], flip("report.bin", 0, 1)),
        RealMutation("version with a high byte", "report version 16777218 is not known", [], flip("report.bin", 3)),
        RealMutation("reserved 18B", "reserved bits at offset 0x18b", [], flip("report.bin", 0x18b)),
        RealMutation("reserved 04C", "reserved bits at offset 0x4c", [], flip("report.bin", 0x4c)),
        RealMutation("behind s", "reserved bits at offset 0x49f", [], flip("report.bin", -1)),
        RealMutation("SIGNING_KEY 2", "SIGNING_KEY 2 has no meaning", [], flip("report.bin", 0x48, 8)),
        RealMutation("SIGNING_KEY none", "the report is not signed", [], flip("report.bin", 0x48, 0x1c)),
        RealMutation("SIGNING_KEY VLEK", "SIGNING_KEY says vlek", [], flip("report.bin", 0x48, 4)),
        RealMutation("SIGNATURE_ALGO", "signature algorithm 3", [], flip("report.bin", 0x34, 2)),
        RealMutation("r", wrong, [], flip("report.bin", 0x2a0)),
        RealMutation("s", wrong, [], flip("report.bin", 0x317)),
        RealMutation("r too large", "zero or too large", [], flip("report.bin", 0x2d0)),
        RealMutation("one byte more", "1185 bytes, not 1184") { $0["report.bin"]?.append(0) },
        RealMutation("one byte less", "1183 bytes, not 1184") { $0["report.bin"]?.removeLast() },
        RealMutation("empty", "0 bytes, not 1184") { $0["report.bin"] = [] },
        RealMutation("half the digits", "592 bytes, not 1184") { files in
            files["report.bin"] = Array(hexadecimal(Array(files["report.bin"]?.prefix(592) ?? [])).utf8) + [0x0a]
        },
    ]

    static let chain: [RealMutation] = [
        RealMutation("no ARK", "there is no ARK certificate") { $0["ark.pem"] = nil },
        RealMutation("no ASK", "there is no ASK certificate") { $0["ask.pem"] = nil },
        RealMutation("no VCEK", "there is no VCEK certificate") { $0["vcek.der"] = nil },
        RealMutation("Genoa's ARK", "there is no ARK certificate") {
            $0["ark.pem"] = try RealReport.bytes("genoa-ark.pem")
        },
        RealMutation("Genoa's ASK", "there is no ASK certificate") {
            $0["ask.pem"] = try RealReport.bytes("genoa-ask.pem")
        },
        RealMutation("Turin's ASK", "there is no ASK certificate") {
            $0["ask.pem"] = try RealReport.bytes("turin-ask.pem")
        },
        RealMutation("VCEK's signature", "signature of the VCEK certificate is wrong", [], flip("vcek.der", -1)),
        RealMutation("VCEK ends early", "VCEK certificate: the certificate is malformed") {
            $0["vcek.der"]?.removeLast()
        },
        RealMutation("VCEK with bytes behind", "VCEK certificate: the certificate is malformed") {
            $0["vcek.der"]?.append(0)
        },
        RealMutation("ASK is text", "ASK certificate: the text holds no PEM block") {
            $0["ask.pem"] = Array("ASK".utf8)
        },
        RealMutation("ARK is a key", "ARK certificate: the PEM block is labelled PUBLIC KEY") { files in
            let text = String(decoding: files["ark.pem"] ?? [], as: UTF8.self)
            files["ark.pem"] = Array(text.split(separator: "CERTIFICATE").joined(separator: "PUBLIC KEY").utf8)
        },
        RealMutation("expired", "the VCEK certificate expired on 2030-04-03", ["--at", "2030-04-04"]),
        RealMutation("long expired", "the ARK certificate expired on", ["--at", "2080-01-01"]),
        RealMutation("not yet", "is valid only from", ["--at", "2019-01-01T00:00:00Z"]),
        RealMutation(
            "wrong product", "the certificates are for Milan, and Genoa is asked for", ["--product", "bergamo"]),
        RealMutation("another root", "is not one of those trusted", ["--ark", "@genoa.pem"]) { files in
            files["genoa.pem"] = try RealReport.bytes("genoa-ark.pem")
        },
        RealMutation("a list of another issuer", "the revocation list is issued by \"ARK-Milan-TEST\"") { files in
            let authority = TestAuthority(product: .milan)
            files["crl"] = try authority.revocationList(revoking: [], at: CertificateTime(year: 2026, month: 5, day: 1))
                .der
        },
        RealMutation("a TEST VCEK for the same chip", wrong) { files in
            let report = try AttestationReport(decoding: files["report.bin"] ?? [])
            let authority = TestAuthority(product: .milan)
            files["ark.pem"] = authority.ark.der
            files["ask.pem"] = authority.ask.der
            files["vcek.der"] = try authority.vcek(
                publicKey: Certificates.somePublicKey, tcb: report.reportedTCB, chipIdentifier: report.chipID
            ).der
        },
    ]

    static let policy: [RealMutation] = [
        RealMutation(
            "TCB", "the reported TCB's SNP firmware level is 8; at least 9 is asked for", ["--min-tcb", "snp=9"]),
        RealMutation(
            "TCB as a number", "boot loader level is 3; at least 4", ["--min-tcb", "0x4", "--product", "milan"]),
        RealMutation("measurement", "the measurement is none", ["--measurement", String(repeating: "00", count: 48)]),
        RealMutation("report data", "the report data are not", ["--report-data", "ff00ff"]),
        RealMutation("host data", "the host data are not", ["--host-data", "01"]),
        RealMutation("family id", "the family id is not", ["--family-id", String(repeating: "0f", count: 16)]),
        RealMutation("image id", "the image id is not", ["--image-id", String(repeating: "0f", count: 16)]),
        RealMutation("ID key", "the ID key's digest is none", ["--id-key-digest", String(repeating: "01", count: 48)]),
        RealMutation(
            "author key", "was not signed by an author key",
            ["--author-key-digest", String(repeating: "01", count: 48)]),
        RealMutation("guest SVN", "the guest's SVN is 0; at least 1", ["--min-svn", "1"]),
        RealMutation("SMT", "the guest's policy allows simultaneous multithreading", ["--forbid-smt"]),
    ]
}

/// Keys that tests certify.
enum Certificates {
    /// The generator of P-384: the public half of the private key 1.
    static let somePublicKey: [UInt8] =
        bytes(
            hexadecimal:
                "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
                + "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")
        ?? []
}

@Suite("rampart report verify on AMD hardware's report", .enabled(if: RealReport.isPresent, RealReport.absence))
struct RealReportTests {
    @Test("the Milan report verifies up to AMD's root, raw and as hexadecimal digits")
    func good() throws {
        for options in [[], ["--require-amd-root"], ["--product", "milan", "--min-tcb", "bl=3,tee=0,snp=8,ucode=115"]] {
            let raw = try RealReport.judge(options)
            #expect(raw.status == .good, "\(raw)")
            #expect(raw.output.contains("root      AMD's Milan root\n") && raw.output.hasPrefix("VERIFIED"))
        }
        let hex = RampartCommand.execute([
            "report", "verify", "\(RealReport.folder)/milan-report.hex", "--certs", RealReport.folder, "--at",
            RealReport.date,
            "--require-amd-root",
        ])
        #expect(hex.status == .good && hex.output.contains("SEV-VCEK < SEV-Milan < ARK-Milan"))
    }

    static let mutations = RealMutation.fields + RealMutation.forms + RealMutation.chain + RealMutation.policy

    @Test("each of at least 40 mutations is refused with words that name the cause", arguments: mutations)
    func refused(_ mutation: RealMutation) throws {
        let outcome = try RealReport.judge(mutation.options, mutation.change)
        #expect(outcome.status == .violation, "\(outcome)")
        #expect(outcome.output.hasPrefix("REFUSED") && outcome.diagnostics.isEmpty)
        let cause = outcome.output.split(separator: "\n").first { $0.hasPrefix("cause") } ?? ""
        #expect(cause.contains(mutation.cause), "\(cause)")
    }

    @Test("the mutations are many")
    func count() { #expect(Self.mutations.count >= 60) }

    @Test("AMD's certificates of Milan go through a table and back", arguments: ["pem", "der"])
    func table(_ encoding: String) throws {
        try withFolder { folder in
            for (name, contents) in try RealReport.files() where name != "report.bin" {
                try writeFile("\(folder)/\(name)", contents)
            }
            #expect(RampartCommand.execute(["certs", "import", folder, "\(folder)/t.bin"]).status == .good)
            #expect(
                RampartCommand.execute(["certs", "export", encoding, "\(folder)/t.bin", "\(folder)/out"]).status
                    == .good)
            let verdict = RampartCommand.execute([
                "certs", "verify", "\(folder)/out", "--at", RealReport.date, "--require-amd-root",
            ])
            #expect(verdict.status == .good && verdict.output.contains("AMD's Milan root"))
        }
    }
}
