// What a guest's owner asks of firmware, in QEMU's words: policy, ID block, host data.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

/// The options of commands that launch a guest for its owner.
struct OwnerOptions: ParsableArguments {
    @Option(
        name: .customLong("guest-policy"),
        help: ArgumentHelp("The guest's policy (default: 0x30000).", valueName: "value"),
        transform: GuestPolicy.init(argument:))
    var policy: GuestPolicy = .standard

    @Option(help: ArgumentHelp("ID block: a file with its 96 bytes, or base64 of them.", valueName: "file"))
    var idBlock: String?

    @Option(
        help: ArgumentHelp("ID authentication: a file with its 4096 bytes, or base64 of them.", valueName: "file"))
    var idAuth: String?

    @Option(
        help: ArgumentHelp("Host data for the guest's reports: up to 64 hexadecimal digits.", valueName: "hex"),
        transform: { try BinaryArgument($0, limit: 32) })
    var hostData: BinaryArgument?

    /// What the options say; reads the files.
    ///
    /// - Throws: in check order: `CommandFailure` when only one of block and authentication is given; `InputError` for
    ///   each
    func request() throws -> OwnerRequest {
        var request = OwnerRequest()
        request.policy = policy
        request.hostData = hostData?.padded(to: 32) ?? []
        guard (idBlock == nil) == (idAuth == nil) else {
            throw CommandFailure.usage("--id-block and --id-auth go together. Give both; rampart id-block makes them.")
        }
        if let idBlock, let idAuth {
            request.identity = GuestIdentity(
                block: try Self.contents(idBlock, byteCount: IDBlock.byteCount),
                authentication: try Self.contents(idAuth, byteCount: IDAuthentication.byteCount))
        }
        return request
    }

    /// The bytes of a base64 text of the right length, or of a file with the bytes or their base64.
    private static func contents(_ argument: String, byteCount: Int) throws -> [UInt8] {
        if let inline = bytes(base64: argument), inline.count == byteCount { return inline }
        let contents: [UInt8]
        do throws(FileError) { contents = try readFile(argument, limit: 1 << 16) } catch {
            throw InputError(error.description)
        }
        if contents.count == byteCount { return contents }
        if let decoded = bytes(base64: String(decoding: contents, as: UTF8.self)), decoded.count == byteCount {
            return decoded
        }
        throw InputError(
            "\(argument): holds neither \(byteCount) bytes nor base64 of them. Make it with rampart id-block.")
    }
}

/// Bytes in hexadecimal on a command line.
struct BinaryArgument {
    let bytes: [UInt8]

    /// Reads at most so many bytes.
    init(_ text: String, limit: Int) throws {
        let digits = text.hasPrefix("0x") ? String(text.dropFirst(2)) : text
        guard let bytes = RampartCLI.bytes(hexadecimal: digits), bytes.count <= limit else {
            throw CommandFailure.usage("not an even number of hexadecimal digits, at most \(limit * 2).")
        }
        self.bytes = bytes
    }

    /// Reads so many bytes.
    init(_ text: String, count: Int) throws {
        try self.init(text, limit: count)
        guard bytes.count == count else { throw CommandFailure.usage("not \(count * 2) hexadecimal digits.") }
    }

    /// The bytes with zeros behind them.
    func padded(to count: Int) -> [UInt8] { bytes + [UInt8](repeating: 0, count: max(0, count - bytes.count)) }
}

extension GuestPolicy {
    init(argument: String) throws {
        guard let value = unsignedInteger(argument) else {
            throw CommandFailure.usage("not a 64-bit number. Write the policy, for example 0x30000.")
        }
        self.init(rawValue: value)
    }
}
