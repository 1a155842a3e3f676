// What endorsement keys and derived keys are made of, computed a second time from the sheet's words.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Endorsement keys")
struct EndorsementKeyTests {
    /// SP 800-108 in counter mode, written apart from the firmware's.
    static func derive(_ root: [UInt8], _ label: String, _ context: [UInt8], bits: UInt16) -> [UInt8] {
        let length: [UInt8] = [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8), 0, 0]
        let blocks = (1...2 as ClosedRange<UInt8>).flatMap { counter in
            Array(
                HMAC<SHA256>.authenticationCode(
                    for: [counter, 0, 0, 0] + Array(label.utf8) + [0] + context + length,
                    using: SymmetricKey(data: root)))
        }
        return Array(blocks.prefix(Int(bits) / 8))
    }

    static func publicKey(_ root: [UInt8], _ label: String) throws -> [UInt8] {
        let scalar = P384KeyNumber.reduce(littleEndian: derive(root, label, [], bits: 448))
        return Array(try P384.Signing.PrivateKey(rawRepresentation: scalar).publicKey.rawRepresentation)
    }

    @Test("a VCEK and a VLEK of the same hash are different keys, each by its label")
    func labels() throws {
        let hash = [UInt8](1...48)
        for (kind, label) in [
            (.vcek, "sev-versioned-chip-endorsement-key"), (.vlek, "sev-versioned-loaded-attestation-key"),
        ] as [(EndorsementKey.Kind, String)] {
            let key = EndorsementKey(kind, hash: hash)
            #expect(Array(key.signing.publicKey.rawRepresentation) == (try Self.publicKey(hash, label)))
        }
    }

    private static func derived(_ platform: TestPlatform, _ request: [UInt8]) throws -> [UInt8] {
        Array(try platform.ask(.keyRequest, request).payload[0x20..<0x40])
    }

    @Test("a derived key's root is the chip's hash at the requested TCB if one is, at the reported one if not")
    func rootOfTCB() throws {
        let platform = try KeyDerivationTests.identified()
        let (record, chip) = platform.firmware.withFirmware { ($0.guests[TestPage.context], $0.chip) }
        let guest = try #require(record)
        let committed = platform.firmware.platformStatus.currentTCB
        let lower = TCBVersion(rawValue: committed.rawValue - (3 << 56))
        for (fields, tcb) in [(32, lower), (32, committed), (0, committed)] as [(UInt64, TCBVersion)] {
            let request = KeyDerivationTests.request(fields: fields, tcb: tcb.rawValue)
            let context = Firmware.keyContext(KeyRequest(decoding: request), guest)
            #expect(
                try Self.derived(platform, request)
                    == Self.derive(chip.sticks(tcb)[7], "gmsg-keyreq", context, bits: 256))
        }
    }

    @Test("the key's context names the author key if there is one, else the ID key, else none")
    func identity() throws {
        let platform = try KeyDerivationTests.identified()
        var guest = try #require(platform.firmware.withFirmware { $0.guests[TestPage.context] })
        let request = KeyRequest(decoding: KeyDerivationTests.request(root: 1))
        func identity() -> (UInt8, [UInt8]) {
            let context = Firmware.keyContext(request, guest)
            return (context[0], Array(context[0x88...]))
        }
        #expect(identity() == (5, Array(guest.authorKeyDigest.prefix(32))))
        guest.authorKeyIsEnabled = false
        #expect(identity() == (3, Array(guest.idKeyDigest.prefix(32))))
        guest.idBlock = nil
        #expect(identity() == (1, [UInt8](repeating: 0, count: 32)))
    }

    @Test("without an ID block the only SVN is 0")
    func svnWithoutBlock() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let request = { KeyDerivationTests.request(fields: 16, svn: $0) }
        #expect(try platform.ask(.keyRequest, request(1)).status == .invalidParam)
        #expect(try platform.ask(.keyRequest, request(0)).status == .success)
    }

    @Test("a report shows the VMPL that was asked for, and whether SMT is on")
    func reportFields() throws {
        for smt in [false, true] {
            let platform = try TestPlatform(configuration: FirmwareConfiguration(smtIsEnabled: smt))
            try platform.makeRunningGuest()
            let answer = try platform.ask(.reportRequest, AttestationReportTests.request(vmpl: 3), vmpck: 1)
            #expect(answer.payload[0x20 + 0x30] == 3 && answer.payload[0x20 + 0x40] == (smt ? 1 : 0))
        }
    }
}
