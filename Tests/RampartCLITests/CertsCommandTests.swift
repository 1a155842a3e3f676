import Attestation
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart certs")
struct CertsCommandTests {
    @Test(
        "the certificates of a chip verify, name its TCB and id, and are the same each time",
        arguments: ProductName.allCases)
    func make(_ product: ProductName) throws {
        try withFolder { folder in
            let arguments = [
                "certs", "make", "--product", product.rawValue, "--chip-seed", "5", "--tcb", "bl=2,snp=7,ucode=200",
            ]
            let first = RampartCommand.execute(arguments + ["--out", "\(folder)/a"])
            #expect(
                first.status == .good && first.output.contains("boot loader 2, TEE 0, SNP firmware 7, microcode 200"))
            #expect(RampartCommand.execute(arguments + ["--encoding", "der", "--out", "\(folder)/b"]).status == .good)
            let pem = try #require(Certificate.all(contents: readFile("\(folder)/a/vcek.pem", limit: 1 << 16)).first)
            let der = try readFile("\(folder)/b/vcek.der", limit: 1 << 16)
            #expect(pem.der == der)
            let id = try #require(pem.endorsement.hardwareID)
            #expect(id.count == product.line.chipIDByteCount && first.output.contains(hexadecimal(id)))
            #expect(
                pem.endorsement.patchLevels[1] == 2 && pem.endorsement.patchLevels[3] == 7
                    && pem.endorsement.patchLevels[8] == 200)
            for name in ["a", "b"] {
                let verdict = RampartCommand.execute(["certs", "verify", "\(folder)/\(name)"])
                #expect(verdict.status == .good && verdict.output.contains("Rampart's TEST root"), "\(verdict)")
            }
            #expect(
                RampartCommand.execute(["certs", "verify", "\(folder)/a", "--require-amd-root"]).status == .violation)
            let late = RampartCommand.execute(["certs", "verify", "\(folder)/a", "--at", "2050-01-01"])
            #expect(late.status == .violation && late.output.contains("the ARK certificate expired on 2048-12-31"))
            #expect(
                RampartCommand.execute(["certs", "verify", "--json", "\(folder)/a"]).output.contains(
                    "\"root\": \"test\""))
        }
    }

    @Test("authorities are judged without a chip's certificate, each under its own root")
    func authorities() throws {
        try withFolder { folder in
            func judging(_ options: [String] = []) -> CommandOutcome {
                RampartCommand.execute(["certs", "verify", "--authorities", folder] + options)
            }
            let nothing = judging()
            #expect(nothing.status == .violation && nothing.output.contains("there is no ASK certificate that fits"))
            for product in ["milan", "turin"] {
                _ = RampartCommand.execute(["certs", "make", "--product", product, "--out", "\(folder)/\(product)"])
                for name in ["ark", "ask"] {
                    let pem = try readFile("\(folder)/\(product)/\(name).pem", limit: 1 << 16)
                    try writeFile("\(folder)/\(product)-\(name).pem", pem)
                }
            }
            let both = judging()
            #expect(both.status == .good && both.output.split(separator: "VERIFIED").count == 2, "\(both)")
            #expect(judging(["--require-amd-root"]).status == .violation)
            try writeFile("\(folder)/turin-ark.pem", readFile("\(folder)/milan-ark.pem", limit: 1 << 16))
            let one = judging()
            #expect(one.status == .violation && one.output.contains("there is no ARK certificate that fits"), "\(one)")
            #expect(one.output.contains("VERIFIED") && judging(["--json"]).output.hasPrefix("["))
        }
    }

    @Test("import and export are each other's inverse")
    func table() throws {
        try withFolder { folder in
            _ = RampartCommand.execute(["certs", "make", "--out", "\(folder)/a"])
            let imported = RampartCommand.execute(["certs", "import", "\(folder)/a", "\(folder)/t"])
            #expect(imported.status == .good && imported.output.contains("VCEK"))
            // Three entries and the one of zeros, 24 bytes each; then the ARK's bytes.
            let bytes = try readFile("\(folder)/t", limit: 1 << 16)
            let ark = try #require(Certificate.all(contents: readFile("\(folder)/a/ark.pem", limit: 1 << 16)).first)
            #expect(Array(bytes[96..<(96 + ark.der.count)]) == ark.der)
            #expect(hexadecimal(Array(bytes.prefix(16))) == "c0b406a4a803495297433fb6014cd0ae")
            for encoding in ["pem", "der"] {
                #expect(
                    RampartCommand.execute(["certs", "export", encoding, "\(folder)/t", "\(folder)/\(encoding)"]).status
                        == .good)
                let names = try listFolder("\(folder)/\(encoding)")
                #expect(names == ["ark.\(encoding)", "ask.\(encoding)", "vcek.\(encoding)"])
            }
            let same =
                try readFile("\(folder)/pem/vcek.pem", limit: 1 << 16)
                == readFile("\(folder)/a/vcek.pem", limit: 1 << 16)
            #expect(same)
        }
    }

    @Test("a table with what is no certificate, or no table, is refused and nothing is written")
    func badTables() throws {
        try withFolder { folder in
            var table = CertificateTable()
            table[.ark] = [1, 2, 3]
            for (contents, words) in [
                (table.encoded, "(ARK): the text holds no PEM block"),
                (Array(table.encoded.prefix(24)), "no terminating entry"),
                ([UInt8](), "no terminating entry"),
            ] {
                try writeFile("\(folder)/t", contents)
                let outcome = RampartCommand.execute(["certs", "export", "pem", "\(folder)/t", "\(folder)/out"])
                #expect(outcome.status == .usage && outcome.diagnostics.contains(words), "\(outcome.diagnostics)")
                let isMade = isFolder("\(folder)/out")
                #expect(!isMade)
            }
        }
    }

    @Test("a folder that makes no table is refused with the reason")
    func badFolders() throws {
        try withFolder { folder in
            func importing() -> String {
                let outcome = RampartCommand.execute(["certs", "import", folder, "\(folder)/t"])
                return outcome.status == .usage ? outcome.diagnostics : "accepted"
            }
            #expect(importing().contains("holds no certificates"))
            try writeFile("\(folder)/ark.pem", Array("nothing".utf8))
            #expect(importing().contains("ark.pem: the text holds no PEM block"))
            _ = RampartCommand.execute(["certs", "make", "--out", folder])
            _ = RampartCommand.execute(["certs", "make", "--chip-seed", "9", "--out", "\(folder)/other"])
            try writeFile("\(folder)/second.pem", readFile("\(folder)/other/vcek.pem", limit: 1 << 16))
            #expect(importing().contains("room for one VCEK"))
        }
    }

    /// Arguments of `rampart certs`, and a part of the message.
    static let refusals: [([String], String)] = [
        (["make"], "--out"), (["make", "--out", "x", "--product", "naples"], "milan, genoa"),
        (["make", "--out", "x", "--tcb", "fmc"], "Write bl=3"),
        (["make", "--out", "x", "--encoding", "txt"], "Use pem or der"),
        (["make", "--out", "x", "--tcb", "0x0000ff0000000000"], "reserved bits"),
        (["verify", "/nonexistent"], "cannot open"), (["import", "/nonexistent", "t"], "cannot open"),
        (["export", "txt", "a", "b"], "Use pem or der"), (["export", "pem", "/nonexistent", "b"], "cannot open"),
    ]

    @Test("what cannot be done is wrong usage, with a remedy", arguments: refusals)
    func refusal(arguments: [String], message: String) {
        let outcome = RampartCommand.execute(["certs"] + arguments)
        #expect(outcome.status == .usage && outcome.output.isEmpty)
        #expect(outcome.diagnostics.contains(message), "\(outcome.diagnostics)")
    }
}
