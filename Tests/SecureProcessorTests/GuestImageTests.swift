// The exported guest: each field at the sheet's offset, and what an import takes back out of it.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Guest image")
struct GuestImageTests {
    /// Bytes that no other field has: the field's offset, then a count.
    static func pattern(_ offset: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: offset / 16 + $0 * 3 + 1) }
    }

    static func record() throws -> GuestRecord {
        var guest = GuestRecord(
            vek: pattern(0, 16), launchTCB: TCBVersion(rawValue: 0x4817_0000_0000_0009),
            firmwareVersion: FirmwareVersion(major: 1, minor: 55, build: 21))
        guest.launchDigest = try #require(LaunchDigest(pattern(0x000, 48)))
        guest.imageDigest = try #require(LaunchDigest(pattern(0x190, 48)))
        guest.oek = pattern(0x030, 32)
        guest.vmpck = [0x050, 0x070, 0x090, 0x0b0].map { pattern($0, 32) }
        guest.vmrk = pattern(0x0d0, 32)
        guest.hostData = pattern(0x0f0, 32)
        guest.idKeyDigest = pattern(0x110, 48)
        guest.authorKeyDigest = pattern(0x140, 48)
        guest.reportID = pattern(0x170, 32)
        guest.messageCounts = [2, 4, 6, 0x1_0000_0000]
        guest.rootMetadata.isValid = true
        guest.rootMetadata.iv = 0x55
        guest.rootMetadata.tag = pattern(0x1f0, 16)
        guest.policy = [.standard, .migrationAgentAllowed, .debugAllowed]
        guest.state = .running
        guest.oekCount = 0x1234_5678_9abc
        guest.idBlock = IDBlock(
            launchDigest: pattern(0x240, 48), familyID: pattern(0x270, 16), imageID: pattern(0x280, 16), guestSVN: 7,
            policy: .standard)
        guest.authorKeyIsEnabled = true
        guest.gosvw = pattern(0x2a0, 16)
        guest.desiredTSCKilohertz = 2_100_000
        return guest
    }

    @Test("each field is where the sheet has it, and the rest is zero")
    func offsets() throws {
        let guest = try Self.record()
        let image = GuestImage.encode(guest)
        let fields: [(Int, [UInt8])] =
            [(0x000, 48), (0x030, 32), (0x050, 32), (0x070, 32), (0x090, 32), (0x0b0, 32), (0x0d0, 32), (0x0f0, 32)]
            .map { ($0.0, Self.pattern($0.0, $0.1)) }
            + [(0x110, 48), (0x140, 48), (0x170, 32), (0x190, 48)].map { ($0.0, Self.pattern($0.0, $0.1)) }
            + [
                (
                    0x1c0,
                    [2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
                ),
                (0x1e0, guest.rootMetadata.encoded), (0x220, [3, 0, 0, 0, 0, 0, 0, 0]),
                (0x228, [0, 0, 0x0f, 0, 0, 0, 0, 0]), (0x230, [2]),
                (0x238, [0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0]),
                (0x240, guest.idBlock?.encoded ?? []), (0x2a0, Self.pattern(0x2a0, 16)),
                (0x2b0, [0x20, 0x0b, 0x20, 0]),
                (0x2c0, [9, 0, 0, 0, 0, 0, 0x17, 0x48]),
            ]
        var expected = [UInt8](repeating: 0, count: 0x300)
        for (offset, bytes) in fields { expected.replaceSubrange(offset..<(offset + bytes.count), with: bytes) }
        #expect(image == expected)
        var other = guest
        (other.authorKeyIsEnabled, other.idBlock, other.vcekIsDisabled) = (false, nil, true)
        #expect(GuestImage.encode(other)[0x220] == 4)
    }

    @Test("an import takes everything but the report's name, the state and the choice of keys")
    func restored() throws {
        let guest = try Self.record()
        var fresh = GuestRecord(
            vek: [], launchTCB: TCBVersion(rawValue: 0),
            firmwareVersion: FirmwareVersion(major: 1, minor: 55, build: 21))
        fresh.vcekIsDisabled = true
        GuestImage.restore(GuestImage.encode(guest), into: &fresh)
        #expect(fresh.vcekIsDisabled && fresh.state == .initialized && fresh.reportID.allSatisfy { $0 == 0 })
        (fresh.state, fresh.reportID, fresh.vcekIsDisabled) = (.running, guest.reportID, false)
        #expect(GuestImage.encode(fresh) == GuestImage.encode(guest))
    }
}
