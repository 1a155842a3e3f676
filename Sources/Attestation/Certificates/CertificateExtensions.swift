// The extensions of a certificate: X.509's own, as far as a verifier needs them, and AMD's.

public import SNPArchitecture
internal import SwiftASN1

/// What AMD's extensions say of the chip and the firmware that a VCEK or VLEK stands for. Nil where one is absent.
///
/// - Spec: 57230, "VCEK Certificate" (OIDs under 1.3.6.1.4.1.3704.1)
/// - Deviates: fmcSPL's OID (.3.9) and the service provider's (.5) are unconfirmed
public struct EndorsementExtensions: Hashable, Sendable {
    /// structVersion, .1.
    public var structVersion: UInt8?
    /// productName, .2, such as "Milan-B0".
    public var productName: String?
    /// The security patch levels by the last number of their OID: .3.1 boot loader, .3.2 TEE, .3.3 SNP, .3.4 to .3.7
    /// reserved, .3.8 microcode, .3.9 FMC.
    public var patchLevels: [Int: UInt8] = [:]
    /// hwID, .4: 64 bytes, on Turin 8.
    public var hardwareID: [UInt8]?
    /// The name of the service provider that a VLEK is for, .5.
    public var serviceProvider: String?

    /// Makes a set without any.
    public init() {}

    /// The product line that productName says.
    public var product: AttestationProduct? { productName.flatMap { AttestationProduct(certificateName: $0) } }
}

struct CertificateExtensions {
    var isAuthority = false
    var endorsement = EndorsementExtensions()
    private static let arc = "1.3.6.1.4.1.3704.1."

    init(_ tagged: ASN1Node?) throws(CertificateError) {
        guard let tagged else { return }
        let name = "the extensions"
        var tag = try DERSequence(tagged: 3, tagged, name)
        var list = try DERSequence(try tag.next(name), name)
        try tag.end(name)
        var seen: Set<String> = []
        var authority = false
        var mayIssue = true
        while !list.isAtEnd {
            var item = try DERSequence(try list.next(name), name)
            let identifier = try item.next(name).objectIdentifier(name)
            let critical = item.next(if: .boolean) != nil
            let value = Array(try item.next(name).primitive(.octetString, name))
            try item.end(name)
            guard seen.insert(identifier).inserted else { throw .duplicateExtension(identifier) }
            switch identifier {
            case "2.5.29.19": authority = try Self.saysAuthority(value)
            case "2.5.29.15": mayIssue = try Self.allowsIssuing(value)
            case _ where identifier.hasPrefix(Self.arc):
                try readEndorsement(identifier.dropFirst(Self.arc.count), value)
            default: guard !critical else { throw .unknownCriticalExtension(identifier) }
            }
        }
        isAuthority = authority && mayIssue
    }

    private static func saysAuthority(_ value: [UInt8]) throws(CertificateError) -> Bool {
        let name = "the basic constraints"
        var constraints = try DERSequence(try DERSequence.parse(value[...], name), name)
        guard let flag = constraints.next(if: .boolean) else { return false }
        return try flag.primitive(.boolean, name).first == 0xff
    }

    /// Bit 5 of KeyUsage, keyCertSign.
    private static func allowsIssuing(_ value: [UInt8]) throws(CertificateError) -> Bool {
        let name = "the key usage"
        let bits = try DERSequence.parse(value[...], name).primitive(.bitString, name)
        guard let first = bits.dropFirst().first else { throw .malformed(name) }
        return first & 0x04 != 0
    }

    private mutating func readEndorsement(_ suffix: Substring, _ value: [UInt8]) throws(CertificateError) {
        let name = "extension " + Self.arc + suffix
        switch suffix {
        case "1": endorsement.structVersion = try DERSequence.parse(value[...], name).byte(name)
        case "2": endorsement.productName = try Self.text(value, name)
        case "4": endorsement.hardwareID = try Self.hardwareID(value, name)
        case "5": endorsement.serviceProvider = try Self.text(value, name)
        case "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9":
            guard let number = Int(suffix.dropFirst(2)) else { throw .malformed(name) }
            endorsement.patchLevels[number] = try DERSequence.parse(value[...], name).byte(name)
        default: break
        }
    }

    private static func text(_ value: [UInt8], _ name: String) throws(CertificateError) -> String {
        let node = try DERSequence.parse(value[...], name)
        let isUTF8 = node.identifier == .utf8String
        return String(decoding: try node.primitive(isUTF8 ? .utf8String : .ia5String, name), as: UTF8.self)
    }

    /// The bytes stand in the extension as they are, or as an OCTET STRING of their own.
    private static func hardwareID(_ value: [UInt8], _ name: String) throws(CertificateError) -> [UInt8] {
        if value.count == 64 || value.count == 8 { return value }
        let inner = Array(try DERSequence.parse(value[...], name).primitive(.octetString, name))
        guard inner.count == 64 || inner.count == 8 else { throw .malformed(name) }
        return inner
    }
}
