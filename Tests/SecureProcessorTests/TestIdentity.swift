// An ID block with its two keys, signed.

import Crypto
import SNPArchitecture

/// Keys of a guest owner that everybody knows: for tests only.
struct TestIdentity {
    let idKey: P384.Signing.PrivateKey
    let authorKey: P384.Signing.PrivateKey

    init() throws {
        idKey = try P384.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 0x11, count: 48))
        authorKey = try P384.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 0x22, count: 48))
    }

    static func encode(_ key: P384.Signing.PublicKey) -> FirmwarePublicKey {
        let raw = Array(key.rawRepresentation)
        return FirmwarePublicKey(p384BigEndianX: Array(raw[..<48]), y: Array(raw[48...]))
    }

    static func sign(_ bytes: [UInt8], with key: P384.Signing.PrivateKey) throws -> FirmwareSignature {
        let raw = Array(try key.signature(for: SHA384.hash(data: bytes)).rawRepresentation)
        return FirmwareSignature(p384BigEndianR: Array(raw[..<48]), s: Array(raw[48...]))
    }

    func authenticate(_ idBlock: IDBlock, withAuthor: Bool = true) throws -> IDAuthentication {
        let id = Self.encode(idKey.publicKey)
        return IDAuthentication(
            idBlockSignature: try Self.sign(idBlock.encoded, with: idKey), idKey: id,
            idKeySignature: withAuthor ? try Self.sign(id.encoded, with: authorKey) : nil,
            authorKey: withAuthor ? Self.encode(authorKey.publicKey) : nil)
    }
}
