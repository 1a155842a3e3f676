import Attestation
import Crypto
import SNPArchitecture
import Testing

@Suite("Signed ID blocks")
struct SignedIDBlockTests {
    static let block = IDBlock(
        launchDigest: (0..<48).map { UInt8($0) }, familyID: [UInt8](repeating: 1, count: 16),
        imageID: [UInt8](repeating: 2, count: 16), guestSVN: 5, policy: .standard)
    static let idKey = P384.Signing.PrivateKey()
    static let authorKey = P384.Signing.PrivateKey()
    static func signed(author: Bool) throws -> SignedIDBlock {
        try SignedIDBlock(
            signing: block, idKey: idKey.pemRepresentation, authorKey: author ? authorKey.pemRepresentation : nil)
    }

    @Test("A signed block survives encoding and verifies, with and without author", arguments: [false, true])
    func good(author: Bool) throws {
        let signed = try Self.signed(author: author)
        let again = try SignedIDBlock(
            verifying: IDBlock(decoding: signed.block.encoded),
            IDAuthentication(decoding: signed.authentication.encoded))
        #expect(again == signed)
        #expect(again.hasAuthor == author)
    }

    @Test("The digests are SHA-384 of the keys as the ABI writes them")
    func digests() throws {
        func firmwareBytes(_ key: P384.Signing.PrivateKey) -> [UInt8] {
            let point = Array(key.publicKey.rawRepresentation)
            let gap = [UInt8](repeating: 0, count: 24)
            let head: [UInt8] = [2, 0, 0, 0] + point[..<48].reversed() + gap + point[48...].reversed() + gap
            return head + [UInt8](repeating: 0, count: 0x404 - head.count)
        }
        let signed = try Self.signed(author: true)
        #expect(signed.idKeyDigest == Array(SHA384.hash(data: firmwareBytes(Self.idKey))))
        #expect(signed.authorKeyDigest == Array(SHA384.hash(data: firmwareBytes(Self.authorKey))))
        #expect(try Self.signed(author: false).authorKeyDigest == [UInt8](repeating: 0, count: 48))
    }

    @Test("Every byte of the block is signed")
    func block() throws {
        let signed = try Self.signed(author: false)
        for offset in 0..<IDBlock.byteCount {
            var bytes = signed.block.encoded
            bytes[offset] ^= 0x40
            #expect(throws: IDBlockError.signature(.id), "offset \(offset)") {
                try SignedIDBlock(verifying: IDBlock(decoding: bytes), signed.authentication)
            }
        }
    }

    @Test(
        "Each changed part of the authentication is refused for its cause",
        arguments: [
            (0x000, IDBlockError.algorithm(.id)), (0x004, .algorithm(.author)), (0x040, .signature(.id)),
            (0x070, .signature(.id)), (0x240, .publicKey(.id)), (0x244, .publicKey(.id)), (0x274, .publicKey(.id)),
            (0x643, .signature(.author)), (0x680, .signature(.author)), (0x880, .publicKey(.author)),
            (0x8d0, .publicKey(.author)),
        ])
    func authentication(_ offset: Int, _ cause: IDBlockError) throws {
        let signed = try Self.signed(author: true)
        var bytes = signed.authentication.encoded
        bytes[offset] ^= 0x02
        #expect(throws: cause) { try SignedIDBlock(verifying: signed.block, IDAuthentication(decoding: bytes)) }
    }

    @Test("Keys that are none, and fields of a wrong length, are refused")
    func input() {
        #expect(throws: IDBlockError.privateKey(.id)) { try SignedIDBlock(signing: Self.block, idKey: "no key") }
        #expect(throws: IDBlockError.privateKey(.author)) {
            try SignedIDBlock(signing: Self.block, idKey: Self.idKey.pemRepresentation, authorKey: "")
        }
        #expect(throws: IDBlockError.privateKey(.id)) {
            try SignedIDBlock(signing: Self.block, idKey: P256.Signing.PrivateKey().pemRepresentation)
        }
        var short = Self.block
        short.launchDigest.removeLast()
        #expect(throws: IDBlockError.fieldLength("the launch digest")) {
            try SignedIDBlock(signing: short, idKey: Self.idKey.pemRepresentation)
        }
    }
}
