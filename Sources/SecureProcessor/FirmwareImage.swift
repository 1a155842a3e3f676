// An image of firmware as SNP_DOWNLOAD_FIRMWARE_EX takes it: a format of the emulator's own, signed with a TEST key that
// everybody has. AMD's images and their format are left out.

internal import Crypto
public import Machine
internal import SNPArchitecture

/// An image of emulated firmware.
///
/// Header of 0x40 bytes: 00 mark, 10 product's name in 8 bytes, 18 major, minor, build, SNP security version, one byte
/// each, 1C size of the whole image, 20 zeros. A signature of 0x200 bytes follows, over header and body, then the body.
///
/// - Deviates: format and key are the emulator's own; no image of AMD's is accepted
public struct FirmwareImage: Hashable, Sendable {
    /// The product that the image is for.
    public var product: Product
    /// Its version.
    public var version: FirmwareVersion
    /// Its security version: the SNP component of the TCB while it runs.
    public var securityVersion: UInt8

    /// Makes an image.
    public init(product: Product, version: FirmwareVersion, securityVersion: UInt8) {
        self.product = product
        self.version = version
        self.securityVersion = securityVersion
    }

    static let mark = Array("RAMPART TEST SP\0".utf8)
    static let headerByteCount = 0x40
    static let signatureByteCount = 0x200
    /// The smallest image and the largest.
    static let sizes: ClosedRange<UInt32> = 0x250...0x4_0000

    /// The image's bytes, signed.
    public func signed() -> [UInt8] {
        let body = Array("TEST firmware \(version) for \(product.rawValue)".utf8)
        let padded = body + [UInt8](repeating: 0, count: 64 - body.count % 32)
        var header = Self.mark + [UInt8](repeating: 0, count: Self.headerByteCount - Self.mark.count)
        header.store(Array(product.rawValue.utf8), at: 0x10, limit: 8)
        header.store([version.major, version.minor, version.build, securityVersion], at: 0x18, limit: 4)
        header.store(UInt32(Self.headerByteCount + Self.signatureByteCount + padded.count), at: 0x1c)
        return header + Self.key.sign(header + padded).encoded + padded
    }

    /// Reads an image whose signature holds; nil for anything else.
    init?(verifying bytes: [UInt8]) {
        guard Self.sizes.contains(UInt32(clamping: bytes.count)), Array(bytes[..<16]) == Self.mark else { return nil }
        guard bytes.integer(at: 0x1c) as UInt32 == UInt32(bytes.count) else { return nil }
        let end = Self.headerByteCount + Self.signatureByteCount
        let signature = FirmwareSignature(decoding: Array(bytes[Self.headerByteCount..<end]))
        let signed = bytes[..<Self.headerByteCount] + bytes[end...]
        let raw = Array(signature.r.prefix(48).reversed()) + Array(signature.s.prefix(48).reversed())
        guard let ecdsa = try? P384.Signing.ECDSASignature(rawRepresentation: raw) else { return nil }
        guard Self.key.signing.publicKey.isValidSignature(ecdsa, for: SHA384.hash(data: signed)) else { return nil }
        let name = String(decoding: bytes[0x10..<0x18].prefix { $0 != 0 }, as: UTF8.self)
        guard let product = Product(rawValue: name) else { return nil }
        self.product = product
        version = FirmwareVersion(major: bytes[0x18], minor: bytes[0x19], build: bytes[0x1a])
        securityVersion = bytes[0x1b]
    }

    /// The key of emulated firmware: no secret at all.
    private static let key = EndorsementKey(
        .vcek, hash: Array(SHA384.hash(data: Array("rampart TEST key of firmware images".utf8))))
}
