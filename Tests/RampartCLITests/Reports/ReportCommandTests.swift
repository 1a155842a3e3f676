// Reports made and judged by command, for every product, version and signer.

import Attestation
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart report")
struct ReportCommandTests {
    /// Product, version, and whether a VLEK signs.
    static let kinds: [(ProductName, Int, Bool)] = ProductName.allCases.flatMap { product in
        [2, 3, 5].flatMap { version in [(product, version, false), (product, version, true)] }
    }

    @Test("make and verify agree for each product, version and signer", arguments: kinds)
    func makeAndVerify(product: ProductName, version: Int, vlek: Bool) throws {
        try withFolder { folder in
            let made = RampartCommand.execute(
                ["report", "make", "--product", product.rawValue, "--report-version", String(version), "--out", folder]
                    + (vlek ? ["--vlek"] : []))
            #expect(made.status == .good && made.diagnostics.isEmpty)
            let signer = vlek ? ["asvk.pem", "vlek.der", "vlek.pem"] : ["ask.pem", "vcek.der", "vcek.pem"]
            #expect(try listFolder(folder) == (["ark.pem", "report.bin"] + signer).sorted())
            let verdict = RampartCommand.execute([
                "report", "verify", "\(folder)/report.bin", "--certs", folder, "--product", product.rawValue,
            ])
            #expect(verdict.status == .good, "\(verdict)")
            #expect(verdict.output.hasPrefix("VERIFIED"))
            #expect(
                verdict.output.contains("Rampart's TEST root") && verdict.output.contains("\(product.line.rawValue)\n"))
            let report = try AttestationReport(decoding: readReport("\(folder)/report.bin"))
            #expect(report.version.rawValue == UInt32(version) && report.signingKey == (vlek ? .vlek : .vcek))
            #expect(report.processor?.product == (version == 2 ? nil : product.line))
            if product == .turin { #expect(report.chipID[8...].allSatisfy { $0 == 0 }) }
        }
    }

    @Test("what is asked for stands in the report, and the policy's options see it")
    func asked() throws {
        try withFolder { folder in
            let made = RampartCommand.execute([
                "report", "make", "--out", folder, "--report-data", "c0ffee", "--host-data", "0x0102", "--vmpl", "2",
                "--vmpck", "1", "--seed", "7",
            ])
            #expect(made.status == .good)
            let report = try AttestationReport(decoding: readReport("\(folder)/report.bin"))
            #expect(Array(report.reportData.prefix(4)) == [0xc0, 0xff, 0xee, 0] && report.vmpl == 2)
            #expect(Array(report.hostData.prefix(3)) == [1, 2, 0])
            let digest = hexadecimal(report.measurement)
            #expect(made.output.contains("launch digest  \(digest)\n"))
            func verify(_ options: String...) -> CommandOutcome {
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder] + options)
            }
            let good = verify(
                "--report-data", "c0ffee", "--host-data", "0102", "--vmpl", "2", "--measurement", digest, "--min-svn",
                "0",
                "--min-tcb", "bl=9,tee=0,snp=23,ucode=72", "--forbid-migration")
            #expect(good.status == .good, "\(good)")
            let both = verify("--report-data", "c0ffef", "--vmpl", "1")
            #expect(both.status == .violation)
            #expect(both.output.contains("the report is for VMPL 2; at most 1 is accepted"))
            #expect(both.output.contains("the report data are not those expected"))
        }
    }

    /// Options, and the words of the refusal of a report by default.
    static let masked: [([String], String)] = [
        (["--mask-chip-id"], "the report's chip id is masked and cannot be compared"),
        (["--mask-chip-key"], "the report is not signed"),
        (["--guest-policy", "0xb0000"], "the guest's policy allows debugging"),
    ]

    @Test("a report that a verifier must refuse is said to be so when it is made", arguments: masked)
    func refusedByDefault(options: [String], cause: String) throws {
        try withFolder { folder in
            let made = RampartCommand.execute(["report", "make", "--out", folder] + options)
            #expect(made.status == .good && made.output.contains("must refuse it: \(cause)\n"))
            let verdict = RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder])
            #expect(verdict.status == .violation && verdict.output.contains("cause     \(cause)\n"))
        }
    }

    @Test("a masked chip's VLEK still signs, and a debugged guest is accepted on request")
    func accepted() throws {
        try withFolder { folder in
            let masked = ["report", "make", "--vlek", "--mask-chip-id", "--mask-chip-key", "--out", folder]
            #expect(RampartCommand.execute(masked).output.contains("verify it with"))
            #expect(
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder]).status == .good)
            let debug = ["report", "make", "--guest-policy", "0xb0000", "--out", folder]
            #expect(RampartCommand.execute(debug).status == .good)
            // The VLEK and its issuer are gone: what is there belongs to the last report.
            let names = try listFolder(folder)
            #expect(names == ["ark.pem", "ask.pem", "report.bin", "vcek.der", "vcek.pem"])
            let allowed = ["report", "verify", "\(folder)/report.bin", "--certs", folder, "--allow-debug"]
            #expect(RampartCommand.execute(allowed).status == .good)
            let asked = ["report", "make", "--vlek", "--ask-vcek", "--out", folder]
            #expect(RampartCommand.execute(asked).status == .good)
            #expect(
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder]).status == .good)
        }
    }

    @Test("the verdict names the root, and only AMD's or a given one is believed on request")
    func roots() throws {
        try withFolder { folder in
            _ = RampartCommand.execute(["report", "make", "--out", folder])
            _ = RampartCommand.execute(["certs", "make", "--product", "milan", "--out", "\(folder)/milan"])
            func verify(_ options: String...) -> CommandOutcome {
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder] + options)
            }
            let amd = verify("--require-amd-root")
            #expect(amd.status == .violation)
            #expect(amd.output.contains("the root \"ARK-Genoa-TEST\" is not one of those trusted"))
            #expect(verify("--ark", "\(folder)/ark.pem").status == .good)
            let other = verify("--ark", "\(folder)/milan/ark.pem")
            #expect(other.status == .violation && other.output.contains("is not one of those trusted"))
            #expect(verify("--ark", "\(folder)/vcek.pem").status == .usage)
            #expect(verify("--ark", "\(folder)/report.bin").status == .usage)
            // A root need not be among the certificates if it is given.
            try removeFile("\(folder)/ark.pem")
            #expect(verify().output.contains("there is no ARK certificate that fits"))
            _ = RampartCommand.execute(["certs", "make", "--out", "\(folder)/genoa"])
            #expect(verify("--ark", "\(folder)/genoa/ark.pem").status == .good)
        }
    }

    @Test("a chain of another chip, TCB or encoding beside the right one does no harm")
    func crowdedFolder() throws {
        try withFolder { folder in
            _ = RampartCommand.execute(["report", "make", "--out", folder])
            let others = ["--chip-seed", "3", "--encoding", "der", "--out", "\(folder)/other"]
            _ = RampartCommand.execute(["certs", "make"] + others)
            try writeFile("\(folder)/a.cer", readFile("\(folder)/other/vcek.der", limit: 1 << 16))
            try writeFile("\(folder)/notes.txt", Array("no certificate".utf8))
            #expect(
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder]).status == .good)
            let table = "\(folder)/table.bin"
            for name in ["a.cer", "vcek.pem"] { try removeFile("\(folder)/\(name)") }
            #expect(RampartCommand.execute(["certs", "import", folder, table]).status == .good)
            #expect(
                RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", table]).status == .good)
        }
    }

    @Test("JSON says what the words say")
    func json() throws {
        try withFolder { folder in
            let made = RampartCommand.execute(["report", "make", "--json", "--tamper", "measurement", "--out", folder])
            #expect(
                made.output.contains("\"tamper\": \"measurement\"") && made.output.contains("\"mustBeRefused\": true"))
            let verdict = RampartCommand.execute([
                "report", "verify", "\(folder)/report.bin", "--certs", folder, "--json",
            ])
            #expect(verdict.status == .violation && verdict.output.hasPrefix("{\n  \"good\": false,"))
            #expect(
                verdict.output.contains("\"the report's signature is wrong\"")
                    && verdict.output.contains("\"root\": \"test\""))
            #expect(verdict.output.contains("\"bootLoader\": 9"))
        }
    }

    @Test("show says every field in words, of raw bytes and of hexadecimal digits")
    func show() throws {
        try withFolder { folder in
            _ = RampartCommand.execute([
                "report", "make", "--report-version", "5", "--product", "turin", "--out", folder,
            ])
            let raw = try readFile("\(folder)/report.bin", limit: 4096)
            let shown = RampartCommand.execute(["report", "show", "\(folder)/report.bin"])
            #expect(shown.status == .good)
            for words in [
                "version          5\n", "policy           0x30000: ABI 0.0 or later, SMT allowed, no debugging",
                "signature        ECDSA P-384 with SHA-384, by the VCEK\n",
                "platform         0x21: SMT on, alias check complete\n",
                "reported TCB     FMC 1, boot loader 9, TEE 0, SNP firmware 23, microcode 72  (0x4800000017000901)\n",
                "processor        family 0x1a model 0x2 stepping 1, Turin's line\n", "firmware         1.58.1\n",
                "agent's id       no migration agent\n", "now              mitigations 0x0\n",
            ] { #expect(shown.output.contains(words), "\(words)") }
            let digits = hexadecimal(raw)
            for text in [
                digits, "0x" + digits + "\n",
                digits.uppercased().enumerated().map { $0 % 64 == 0 ? "\n\($1)" : "\($1)" }.joined(),
            ] {
                try writeFile("\(folder)/report.hex", Array(text.utf8))
                #expect(RampartCommand.execute(["report", "show", "\(folder)/report.hex"]) == shown)
            }
            let json = RampartCommand.execute(["report", "show", "--json", "\(folder)/report.bin"]).output
            #expect(
                json.contains("\"fmc\": 1") && json.contains("\"product\": \"Turin\"")
                    && json.contains("\"signingKey\": \"vcek\""))
            try writeFile("\(folder)/short", Array(raw.dropLast()))
            let short = RampartCommand.execute(["report", "show", "\(folder)/short"])
            #expect(short.status == .violation && short.diagnostics.contains("1183 bytes, not 1184"))
        }
    }

    /// Arguments of `rampart report`, and a part of the message.
    static let refusals: [([String], String)] = [
        (["make"], "--out is missing"),
        (["make", "--out", "x", "--product", "rome"], "milan, genoa, bergamo, siena, turin"),
        (["make", "--out", "x", "--report-version", "4"], "Use 2, 3 or 5"),
        (["make", "--out", "x", "--report-version", "6"], "Use 2, 3 or 5"),
        (["make", "--out", "x", "--vmpl", "4"], "Use 0 to 3"),
        (["make", "--out", "x", "--vmpck", "4", "--vmpl", "3"], "Use 0 to 3"),
        (["make", "--out", "x", "--vmpck", "1"], "Use a --vmpl of at least 1"),
        (["make", "--out", "x", "--tamper", "nonsense"], "--tamper list"),
        (["make", "--out", "x", "--tamper", "product"], "Use --report-version 3 or 5"),
        (["make", "--out", "x", "--tamper", "cert-fmc"], "Use --product turin"),
        (["make", "--out", "x", "--tamper", "policy", "--mask-chip-key"], "Leave --mask-chip-key out"),
        (["make", "--out", "x", "--report-data", "0"], "hexadecimal digits, at most 128"),
        (["make", "--out", "x", "--report-data", String(repeating: "00", count: 65)], "at most 128"),
        (["make", "--out", "x", "--host-data", String(repeating: "00", count: 33)], "at most 64"),
        (["make", "--out", "x", "--id-block", "y"], "--id-block and --id-auth go together"),
        (["make", "--out", "x", "--id-block", "/dev/null", "--id-auth", "/dev/null"], "neither 96 bytes nor base64"),
        (["make", "--out", "x", "--ovmf", "/nonexistent"], "cannot open"),
        (["make", "--out", "x", "--vlek", "--service-provider", ""], "1 to 64 printable"),
        (["make", "--out", "/dev/null/x"], "Not a directory"),
        (["show", "/nonexistent"], "cannot open"),
        (["show", "/"], "is a directory"),
        (["verify", "f"], "--certs is missing"),
        (["verify", "/nonexistent", "--certs", "/"], "cannot open"),
        (["verify", "f", "--certs", "c", "--ark", "a", "--require-amd-root"], "exclude each other"),
        (["verify", "f", "--certs", "c", "--at", "yesterday"], "Write 2026-06-01"),
        (["verify", "f", "--certs", "c", "--at", "2026-02-30"], "Write 2026-06-01"),
        (["verify", "f", "--certs", "c", "--min-tcb", "bl"], "Write bl=3"),
        (["verify", "f", "--certs", "c", "--min-tcb", "bl=256"], "Use 0 to 255"),
        (["verify", "f", "--certs", "c", "--min-tcb", "bl=1,bootloader=2"], "given twice"),
        (["verify", "f", "--certs", "c", "--min-tcb", "0x1"], "needs --product"),
        (["verify", "f", "--certs", "c", "--measurement", "00"], "not 96 hexadecimal digits"),
        (["verify", "f", "--certs", "c", "--id-key-digest", "zz"], "hexadecimal"),
    ]

    @Test("what cannot be done is wrong usage, with a remedy", arguments: refusals)
    func refusal(arguments: [String], message: String) {
        let outcome = RampartCommand.execute(["report"] + arguments)
        #expect(outcome.status == .usage && outcome.output.isEmpty)
        #expect(outcome.diagnostics.contains(message), "\(outcome.diagnostics)")
    }

    @Test("moments are read as written, and no others")
    func times() {
        let good: [(String, Int64)] = [
            ("0", 0), ("1750000000", 1_750_000_000), ("1970-01-02", 86_400), ("2026-06-01T12:30:05Z", 1_780_317_005),
            ("2024-02-29", 1_709_164_800),
        ]
        for (text, seconds) in good { #expect(CertificateTime(parsing: text)?.secondsSince1970 == seconds, "\(text)") }
        for text in [
            "", "-1", "2026-6-1", "2026-06-01T12:30:05", "2026-06-01T24:00:00Z", "2025-02-29", "2026-13-01",
            "2026-06-01TZ", "２０２６-06-01",
        ] {
            #expect(CertificateTime(parsing: text) == nil, "\(text)")
        }
        #expect(CertificateTime.now > CertificateTime(year: 2025, month: 1, day: 1))
    }
}
