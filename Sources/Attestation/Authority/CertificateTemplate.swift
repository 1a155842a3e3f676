// What a certificate of the test authority says, before it is signed. A caller may change it, to get a certificate that
// is signed well and says the wrong thing.

internal import Crypto
internal import SNPArchitecture

/// The fields of a VCEK or VLEK certificate that is still to be signed.
public struct CertificateTemplate: Hashable, Sendable {
    /// The subject's common name.
    public var commonName: String
    /// The first moment at which it holds.
    public var notBefore = CertificateTemplate.firstMoment
    /// The last moment at which it holds.
    public var notAfter = CertificateTemplate.lastMoment
    /// AMD's extensions; one that is nil is left out. Of the patch levels only those that AMD names are written.
    public var endorsement = EndorsementExtensions()
    let role: CertificateRole
    let publicKeyInfo: [UInt8]

    static let firstMoment = CertificateTime(year: 2024, month: 1, day: 1)
    static let lastMoment = CertificateTime(year: 2048, month: 12, day: 31, hour: 23, minute: 59, second: 59)

    init(_ role: CertificateRole, commonName: String, publicKeyInfo: [UInt8]) {
        self.role = role
        self.commonName = commonName
        self.publicKeyInfo = publicKeyInfo
    }
}

/// The serial number and the standard extensions, in which authorities and endorsement certificates differ.
struct CertificateFrame {
    /// Big-endian; nil to derive it from all the rest.
    var serialNumber: [UInt8]?
    var issuerName: String
    /// Extensions in DER.
    var extensions: [UInt8] = []
}

extension CertificateTemplate {
    /// The part that is signed.
    ///
    /// - Throws: `.unwritableTime`, of `notBefore` and then of `notAfter`
    func signedPart(_ frame: CertificateFrame) throws(AuthorityError) -> [UInt8] {
        let start = try DERWriter.time(notBefore)
        let end = try DERWriter.time(notAfter)
        let rest: [[UInt8]] = [
            TestAuthority.algorithm, TestAuthority.name(frame.issuerName), DERWriter.sequence(start, end),
            TestAuthority.name(commonName), publicKeyInfo,
            DERWriter.tagged(3, DERWriter.sequence(frame.extensions + endorsement.der)),
        ]
        let contents = Array(rest.joined())
        let version = DERWriter.tagged(0, DERWriter.integer(2))
        let serialNumber = frame.serialNumber ?? Self.serialNumber(for: contents)
        return DERWriter.sequence(version, DERWriter.integer(serialNumber), contents)
    }

    /// 16 bytes of SHA-384, with the highest bits 01, so that the length is always the same.
    private static func serialNumber(for contents: [UInt8]) -> [UInt8] {
        var bytes = Array(SHA384.hash(data: contents).prefix(16))
        bytes[0] = bytes[0] & 0x3f | 0x40
        return bytes
    }
}

extension EndorsementExtensions {
    /// AMD's extensions in the order of its certificates, not critical. A level and structVersion are an INTEGER, a name
    /// is an IA5String, and hwID is its bytes alone.
    fileprivate var der: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ suffix: [UInt32], _ value: [UInt8]?) {
            guard let value else { return }
            bytes += DERWriter.sequence(
                DERWriter.identifier([1, 3, 6, 1, 4, 1, 3704, 1] + suffix), DERWriter.octets(value))
        }
        add([1], structVersion.map { DERWriter.integer(UInt64($0)) })
        add([2], productName.map(DERWriter.ia5))
        for number: UInt32 in [1, 2, 4, 5, 6, 7, 3, 8, 9] {
            add([3, number], patchLevels[Int(number)].map { DERWriter.integer(UInt64($0)) })
        }
        add([4], hardwareID)
        add([5], serviceProvider.map(DERWriter.ia5))
        return bytes
    }
}
