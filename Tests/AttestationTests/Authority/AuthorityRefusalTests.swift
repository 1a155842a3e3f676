import Attestation
import SNPArchitecture
import Testing

/// What a caller asks of an authority, and why it is refused.
struct AuthorityRefusal: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var cause: AuthorityError
    var product = AttestationProduct.milan
    var publicKey: [UInt8]?
    var tcb = TCBVersion(rawValue: 0)
    var chip = [UInt8](repeating: 7, count: 64)
    var provider: String?

    func check() {
        let scenario = AuthorityScenario(product)
        let key = publicKey ?? scenario.publicKey
        #expect(throws: cause) {
            guard let provider else {
                return try scenario.authority.vcek(publicKey: key, tcb: tcb, chipIdentifier: chip)
            }
            return try scenario.authority.vlek(publicKey: key, tcb: tcb, serviceProvider: provider)
        }
        #expect(cause.description.count > 12)
    }
}

@Suite("What the test authority refuses")
struct AuthorityRefusalTests {
    typealias Refusal = AuthorityRefusal
    static let reserved = TCBVersion(rawValue: 1 << 16)
    static func bytes(_ count: Int, _ value: UInt8 = 7) -> [UInt8] { [UInt8](repeating: value, count: count) }

    static let refusals: [Refusal] = [
        Refusal(testDescription: "no key", cause: .publicKey, publicKey: []),
        Refusal(testDescription: "a key of 95 bytes", cause: .publicKey, publicKey: bytes(95)),
        Refusal(testDescription: "a key of 97 bytes", cause: .publicKey, publicKey: bytes(97)),
        Refusal(testDescription: "a key off the curve", cause: .publicKey, publicKey: bytes(96)),
        Refusal(testDescription: "a key of zeros", cause: .publicKey, publicKey: bytes(96, 0)),
        Refusal(testDescription: "coordinates beyond the field", cause: .publicKey, publicKey: bytes(96, 0xff)),
        Refusal(testDescription: "a VLEK off the curve", cause: .publicKey, publicKey: bytes(96), provider: "p"),
        Refusal(testDescription: "reserved levels of Milan", cause: .reservedTCB(1 << 16), tcb: reserved),
        Refusal(
            testDescription: "reserved levels of Turin", cause: .reservedTCB(1 << 32), product: .turin,
            tcb: TCBVersion(rawValue: 0xff00_0001_ffff_ffff)),
        Refusal(
            testDescription: "reserved levels of a VLEK", cause: .reservedTCB(1 << 16), tcb: reserved, provider: ""),
        Refusal(testDescription: "no chip", cause: .chipIdentifier(byteCount: 0, product: .milan), chip: []),
        Refusal(
            testDescription: "Turin's id on Milan", cause: .chipIdentifier(byteCount: 8, product: .milan),
            chip: bytes(8)),
        Refusal(
            testDescription: "63 bytes on Genoa", cause: .chipIdentifier(byteCount: 63, product: .genoa),
            product: .genoa, chip: bytes(63)),
        Refusal(testDescription: "65 bytes", cause: .chipIdentifier(byteCount: 65, product: .milan), chip: bytes(65)),
        Refusal(
            testDescription: "7 bytes on Turin", cause: .chipIdentifier(byteCount: 7, product: .turin),
            product: .turin, chip: bytes(7)),
        Refusal(
            testDescription: "64 bytes on Turin, the last not zero",
            cause: .chipIdentifier(byteCount: 64, product: .turin), product: .turin, chip: bytes(63, 0) + [1]),
        Refusal(
            testDescription: "63 bytes on Turin", cause: .chipIdentifier(byteCount: 63, product: .turin),
            product: .turin, chip: bytes(8) + bytes(55, 0)),
        Refusal(testDescription: "no provider", cause: .serviceProvider, provider: ""),
        Refusal(
            testDescription: "a provider of 65 characters", cause: .serviceProvider,
            provider: String(repeating: "p", count: 65)),
        Refusal(testDescription: "a provider that is not ASCII", cause: .serviceProvider, provider: "prov\u{ef}der"),
        Refusal(testDescription: "a provider with a line break", cause: .serviceProvider, provider: "p\n"),
        Refusal(testDescription: "key before TCB", cause: .publicKey, publicKey: [], tcb: reserved, chip: []),
        Refusal(testDescription: "TCB before chip", cause: .reservedTCB(1 << 16), tcb: reserved, chip: []),
    ]

    @Test("Bad input is refused for its first cause", arguments: refusals)
    func refused(_ refusal: Refusal) { refusal.check() }

    @Test(
        "A provider may have 1 to 64 characters, from space to tilde",
        arguments: [" ", "~", String(repeating: "p", count: 64)])
    func provider(_ name: String) throws {
        let scenario = AuthorityScenario(.milan)
        let vlek = try scenario.authority.vlek(publicKey: scenario.publicKey, tcb: scenario.tcb, serviceProvider: name)
        #expect(vlek.endorsement.serviceProvider == name)
    }

    @Test("A template that cannot be written or read gives an error, not a trap")
    func templates() throws {
        let scenario = AuthorityScenario(.milan)
        for seconds: Int64 in [.min, .max, -62_167_219_201, 253_402_300_800] {
            let time = CertificateTime(secondsSince1970: seconds)
            var template = try scenario.template()
            template.notBefore = time
            #expect(throws: AuthorityError.unwritableTime(time)) { try scenario.authority.sign(template) }
            template = try scenario.template()
            template.notAfter = time
            #expect(throws: AuthorityError.unwritableTime(time)) { try scenario.authority.sign(template) }
        }
        var template = try scenario.template()
        template.endorsement.hardwareID = [1, 2, 3]
        let cause = CertificateError.malformed("extension 1.3.6.1.4.1.3704.1.4")
        #expect(throws: AuthorityError.unreadable(cause)) { try scenario.authority.sign(template) }
    }

    @Test(
        "Moments from year 0 to 9999 are written as they are",
        arguments: [
            CertificateTime(year: 0, month: 1, day: 1), CertificateTime(year: 1949, month: 12, day: 31, hour: 23),
            CertificateTime(year: 1950, month: 1, day: 1), CertificateTime(year: 2000, month: 2, day: 29, second: 59),
            CertificateTime(year: 2049, month: 12, day: 31, hour: 23, minute: 59, second: 59),
            CertificateTime(year: 2050, month: 1, day: 1),
            CertificateTime(year: 9999, month: 12, day: 31, hour: 23, minute: 59, second: 59),
        ])
    func moments(_ time: CertificateTime) throws {
        let scenario = AuthorityScenario(.milan)
        var template = try scenario.template()
        template.notBefore = time
        template.notAfter = time
        let certificate = try scenario.authority.sign(template)
        #expect(certificate.notBefore == time && certificate.notAfter == time)
    }
}
