// `rampart id-block`: an ID block with its authentication, with the flags and the output of sev-snp-measure's tool.

import ArgumentParser
import Attestation
import Monitor
import Rampart
import SNPArchitecture

struct IDBlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "id-block",
        abstract: "Sign an ID block for a launch digest.",
        discussion: """
            The flags and the output are those of snp-create-id-block, which comes with sev-snp-measure; the text behind id-block= \
            and id-auth= is what QEMU's sev-snp-guest takes. With --out both are written to files that rampart launch and \
            rampart report make take.

              rampart id-block --measurement "$(rampart measure ...)" --idkey id.pem --authorkey author.pem --out identity
              rampart launch --id-block identity/id-block.base64 --id-auth identity/id-auth.base64
            """)

    @Option(
        help: ArgumentHelp("Guest launch digest, base64 or hexadecimal.", valueName: "value"),
        transform: LaunchDigestArgument.init(argument:))
    var measurement: LaunchDigestArgument

    @Option(help: ArgumentHelp("ID private key file: PEM, on P-384.", valueName: "path"))
    var idkey: String

    @Option(help: ArgumentHelp("Author private key file: PEM, on P-384 (default: no author).", valueName: "path"))
    var authorkey: String?

    @Option(
        help: ArgumentHelp("FAMILY_ID (default: zeros).", valueName: "hex"),
        transform: { try BinaryArgument($0, count: 16) })
    var familyID: BinaryArgument?

    @Option(
        help: ArgumentHelp("IMAGE_ID (default: zeros).", valueName: "hex"),
        transform: { try BinaryArgument($0, count: 16) })
    var imageID: BinaryArgument?

    @Option(help: ArgumentHelp("GUEST_SVN.", valueName: "n"))
    var svn: UInt32 = 0

    @Option(
        help: ArgumentHelp("The guest's policy (default: 0x30000).", valueName: "value"),
        transform: GuestPolicy.init(argument:))
    var policy: GuestPolicy = .standard

    @Option(help: ArgumentHelp("The folder to write id-block.base64 and id-auth.base64 to.", valueName: "folder"))
    var out: String?

    @Flag(help: "Print JSON.")
    var json = false

    /// Signs the block.
    ///
    /// - Throws: `InputError` for a file or what is in it
    func signedBlock() throws -> SignedIDBlock {
        let block = IDBlock(
            launchDigest: measurement.bytes, familyID: familyID?.bytes ?? [UInt8](repeating: 0, count: 16),
            imageID: imageID?.bytes ?? [UInt8](repeating: 0, count: 16), guestSVN: svn, policy: policy)
        let idKey = try Self.text(idkey)
        let authorKey = try authorkey.map(Self.text)
        do throws(IDBlockError) {
            return try SignedIDBlock(signing: block, idKey: idKey, authorKey: authorKey)
        } catch { throw InputError("\(error == .privateKey(.author) ? authorkey ?? idkey : idkey): \(error).") }
    }

    private static func text(_ path: String) throws -> String {
        do throws(FileError) { return String(decoding: try readFile(path, limit: 1 << 16), as: UTF8.self) } catch {
            throw InputError(error.description)
        }
    }

    func outcome(_ signed: SignedIDBlock) -> CommandOutcome {
        let block = base64(signed.block.encoded)
        let authentication = base64(signed.authentication.encoded)
        if json {
            let value = JSON.object([
                ("idBlock", .string(block)), ("idAuth", .string(authentication)),
                ("idKeyDigest", .string(hexadecimal(signed.idKeyDigest))),
                ("authorKeyDigest", signed.hasAuthor ? .string(hexadecimal(signed.authorKeyDigest)) : .null),
            ])
            return CommandOutcome(output: value.indented() + "\n")
        }
        var lines = ["id-block=\(block),id-auth=\(authentication)", "id_key_hash: \(base64(signed.idKeyDigest))"]
        if signed.hasAuthor { lines.append("author_key: \(base64(signed.authorKeyDigest))") }
        return CommandOutcome(output: lines.joined(separator: "\n") + "\n")
    }
}

/// A launch digest on a command line: 64 characters of base64 or 96 hexadecimal digits.
struct LaunchDigestArgument {
    let bytes: [UInt8]

    init(argument: String) throws {
        let found =
            argument.utf8.count == 96
            ? RampartCLI.bytes(hexadecimal: argument) : RampartCLI.bytes(base64: argument)
        guard let found, found.count == 48 else {
            throw CommandFailure.usage("not 48 bytes in base64 or hexadecimal. Take what rampart measure prints.")
        }
        bytes = found
    }
}

extension IDBlockCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let signed = try signedBlock()
        guard let out else { return outcome(signed) }
        do throws(FileError) {
            try makeFolder(out)
            try writeFile("\(out)/id-block.base64", Array((base64(signed.block.encoded) + "\n").utf8))
            try writeFile("\(out)/id-auth.base64", Array((base64(signed.authentication.encoded) + "\n").utf8))
        } catch { throw InputError(error.description) }
        return outcome(signed)
    }
}
