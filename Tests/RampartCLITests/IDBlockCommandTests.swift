// ID blocks from the owner's keys to LAUNCH_FINISH and the report.

import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

/// Keys that everybody knows, and the launch digest of the bundled image.
private enum Owner {
    static let idKey = """
        -----BEGIN EC PRIVATE KEY-----
        MIGkAgEBBDA3p+ONBCndVSIMoeUFfINDIZWiqfK98/ZXwPdp6ULWdztUiKjVqato
        4Mi0yp8eC62gBwYFK4EEACKhZANiAAQ9/RQ5OShOU87NOFt3ne8OEMuUpqd93ghA
        eEAlR028cLXb1HBQKCd3iERfC1jhNKE+yByQBptPoF9WXkQowXWdcyQZpKhWeDy7
        +7U880JwShr4FY2TNItZlxggYmncZA8=
        -----END EC PRIVATE KEY-----

        """
    static let authorKey = """
        -----BEGIN EC PRIVATE KEY-----
        MIGkAgEBBDCWAzic8kqjin+QeMw7RhQ8X7qtSj3rADWMFb0RQ5fBvZRPoVvSWS6x
        xkz6o5VfvmagBwYFK4EEACKhZANiAARcz5QIZsmwvBcYtL3OjKOUtQv6HpqGypKw
        SfyN+fF741LuVui10jN+78f+BA9+X+9kGVO/xAz2a6dUffqx0Dgy8VMTDn5RvsNu
        vqnCjMAZRMdPmF6s4p+KUrERPnNnq5E=
        -----END EC PRIVATE KEY-----

        """
    /// The coordinates of the ID key, from its PEM: big-endian.
    static let idKeyX =
        "3dfd143939284e53cecd385b779def0e10cb94a6a77dde0840784025474dbc70b5dbd4705028277788445f0b58e134a1"

    static let digest: String = {
        let launch = RampartCommand.execute(["launch", "--json"])
        let marker = "\"digest\": \""
        let line = launch.output.split(separator: "\n").first { $0.contains(marker) } ?? ""
        return String(line.split(separator: "\"").dropFirst(3).first ?? "")
    }()
}

@Suite("rampart id-block")
struct IDBlockCommandTests {
    /// Signs a block into files for the time of the body.
    private func withIdentity(
        author: Bool = true, _ options: [String] = [], _ body: (String, CommandOutcome) throws -> Void
    ) throws {
        try withFolder { folder in
            try writeFile("\(folder)/id.pem", Array(Owner.idKey.utf8))
            try writeFile("\(folder)/author.pem", Array(Owner.authorKey.utf8))
            let outcome = RampartCommand.execute(
                ["id-block", "--measurement", Owner.digest, "--idkey", "\(folder)/id.pem", "--out", folder]
                    + (author ? ["--authorkey", "\(folder)/author.pem"] : []) + options)
            try body(folder, outcome)
        }
    }

    private static func launch(_ folder: String) -> CommandOutcome {
        RampartCommand.execute([
            "launch", "--id-block", "\(folder)/id-block.base64", "--id-auth", "\(folder)/id-auth.base64",
        ])
    }

    @Test("the output is snp-create-id-block's, and the block's bytes are as the ABI lays them out")
    func output() throws {
        let ids = ["--family-id", String(repeating: "0a", count: 16), "--image-id", String(repeating: "0b", count: 16)]
        try withIdentity(ids + ["--svn", "513", "--policy", "0x30001"]) { folder, outcome in
            #expect(outcome.status == .good, "\(outcome)")
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.count == 3 && lines[0].hasPrefix("id-block=") && lines[0].contains(",id-auth="))
            #expect(lines[1].hasPrefix("id_key_hash: ") && lines[2].hasPrefix("author_key: "))
            let texts = lines[0].split(separator: ",").map { String($0.split(separator: "=", maxSplits: 1)[1]) }
            let block = try #require(bytes(base64: texts[0]))
            let expected =
                Owner.digest + String(repeating: "0a", count: 16) + String(repeating: "0b", count: 16)
                + "01000000" + "01020000" + "0100030000000000"
            #expect(hexadecimal(block) == expected)
            let authentication = try #require(bytes(base64: texts[1]))
            #expect(authentication.count == 4096 && Array(authentication.prefix(8)) == [1, 0, 0, 0, 1, 0, 0, 0])
            // ID_KEY at 240: curve 2, then x little-endian in 72 bytes.
            #expect(Array(authentication[0x240..<0x244]) == [2, 0, 0, 0])
            #expect(hexadecimal(authentication[0x244..<0x274].reversed()) == Owner.idKeyX)
            #expect(authentication[0x274..<0x28c].allSatisfy { $0 == 0 })
            let written = String(decoding: try readFile("\(folder)/id-auth.base64", limit: 1 << 16), as: UTF8.self)
            #expect(written == texts[1] + "\n")
        }
        try withIdentity(author: false) { _, outcome in
            #expect(outcome.status == .good && outcome.output.split(separator: "\n").count == 2)
        }
    }

    @Test("the measurement is hexadecimal or base64, as rampart measure prints either")
    func measurement() throws {
        let found = bytes(hexadecimal: Owner.digest)
        let bytes = try #require(found)
        #expect(bytes.count == 48)
        #expect(try LaunchDigestArgument(argument: base64(bytes)).bytes == bytes)
        #expect(try LaunchDigestArgument(argument: Owner.digest).bytes == bytes)
        for text in ["", "00", String(Owner.digest.dropLast()), base64(Array(bytes.dropLast()))] {
            #expect(throws: CommandFailure.self) { try LaunchDigestArgument(argument: text) }
        }
    }

    @Test("LAUNCH_FINISH accepts the block, and the report shows whose it is", arguments: [true, false])
    func accepted(author: Bool) throws {
        let options = ["--svn", "3", "--image-id", String(repeating: "07", count: 16)]
        try withIdentity(author: author, options) { folder, signed in
            #expect(Self.launch(folder).status == .good)
            let identity = ["--id-block", "\(folder)/id-block.base64", "--id-auth", "\(folder)/id-auth.base64"]
            #expect(RampartCommand.execute(["report", "make", "--out", folder] + identity).status == .good)
            let report = try AttestationReport(decoding: readReport("\(folder)/report.bin"))
            #expect(report.guestSVN == 3 && report.imageID == [UInt8](repeating: 7, count: 16))
            #expect(report.authorKeyEnabled == author)
            #expect(signed.output.contains("id_key_hash: \(base64(report.idKeyDigest))\n"))
            if author { #expect(signed.output.contains("author_key: \(base64(report.authorKeyDigest))\n")) }
            let digests =
                ["--id-key-digest", hexadecimal(report.idKeyDigest)]
                + (author ? ["--author-key-digest", hexadecimal(report.authorKeyDigest)] : [])
            let verify = ["report", "verify", "\(folder)/report.bin", "--certs", folder, "--min-svn", "3"] + digests
            #expect(RampartCommand.execute(verify).status == .good)
        }
    }

    /// A field, whether it is the block's or the authentication's, an offset in it, and the firmware's status.
    static let altered: [(String, Bool, Int, String)] = [
        ("launch digest", true, 0x00, "BAD_MEASUREMENT"), ("last byte of the digest", true, 0x2f, "BAD_MEASUREMENT"),
        ("policy", true, 0x58, "POLICY_FAILURE"), ("reserved policy bit", true, 0x5f, "POLICY_FAILURE"),
        ("family id", true, 0x30, "BAD_SIGNATURE"), ("image id", true, 0x4f, "BAD_SIGNATURE"),
        ("version", true, 0x50, "BAD_SIGNATURE"), ("guest SVN", true, 0x54, "BAD_SIGNATURE"),
        ("ID key's algorithm", false, 0x000, "INVALID_PARAM"),
        ("author key's algorithm", false, 0x005, "INVALID_PARAM"),
        ("block's r", false, 0x040, "BAD_SIGNATURE"), ("block's s", false, 0x088, "BAD_SIGNATURE"),
        ("r above 384 bits", false, 0x070, "BAD_SIGNATURE"), ("ID key's curve", false, 0x240, "BAD_SIGNATURE"),
        ("ID key's x", false, 0x244, "BAD_SIGNATURE"), ("ID key's y", false, 0x28c, "BAD_SIGNATURE"),
        ("behind the ID key's point", false, 0x643, "BAD_SIGNATURE"), ("ID key's r", false, 0x680, "BAD_SIGNATURE"),
        ("ID key's s", false, 0x6c8, "BAD_SIGNATURE"), ("author key's curve", false, 0x880, "BAD_SIGNATURE"),
        ("author key's x", false, 0x884, "BAD_SIGNATURE"), ("author key's y", false, 0x8cc, "BAD_SIGNATURE"),
    ]

    @Test("LAUNCH_FINISH refuses each altered field with its status, which is a mismatch", arguments: altered)
    func refused(field: String, isBlock: Bool, offset: Int, status: String) throws {
        try withIdentity { folder, _ in
            let path = "\(folder)/\(isBlock ? "id-block" : "id-auth").base64"
            let text = String(decoding: try readFile(path, limit: 1 << 16), as: UTF8.self)
            var contents = try #require(bytes(base64: text))
            contents[offset] ^= 2
            // This time as bytes: both forms are taken.
            try writeFile(path, contents)
            let outcome = Self.launch(folder)
            #expect(outcome.status == .violation && outcome.output.isEmpty)
            #expect(
                outcome.diagnostics.contains("KVM_SEV_SNP_LAUNCH_FINISH") && outcome.diagnostics.contains(status),
                "\(outcome.diagnostics)")
        }
    }

    @Test("a block may stand on the command line itself")
    func inline() throws {
        try withIdentity { folder, outcome in
            let texts = outcome.output.split(separator: "\n")[0].split(separator: ",")
                .map { String($0.split(separator: "=", maxSplits: 1)[1]) }
            #expect(RampartCommand.execute(["launch", "--id-block", texts[0], "--id-auth", texts[1]]).status == .good)
        }
    }

    @Test("keys that cannot sign are refused by name")
    func badKeys() throws {
        try withFile(Array("no key".utf8)) { path in
            let arguments = ["id-block", "--measurement", Owner.digest, "--idkey", path]
            let outcome = RampartCommand.execute(arguments)
            #expect(
                outcome.status == .usage
                    && outcome.diagnostics.contains("\(path): the ID key is no PEM private key on P-384"))
        }
        let missing = RampartCommand.execute(["id-block", "--measurement", Owner.digest, "--idkey", "/nonexistent"])
        #expect(missing.status == .usage && missing.diagnostics.contains("cannot open"))
    }
}
