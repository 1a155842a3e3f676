// Derived keys: the function against numbers from elsewhere, and what a key depends on.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Derived keys")
struct KeyDerivationTests {
    @Test("the VMRK 00..1F with an empty context gives the reference sheet's key")
    func knownAnswer() {
        var context = [UInt8](repeating: 0, count: 0xa8)
        context[0] = 1
        let key = KeyDerivation.derive((0..<32).map { UInt8($0) }, label: "gmsg-keyreq", context: context)
        #expect(hex(key) == "6993a6a3e44681e220ed2d38af1d846b5b6a644e2755062c0566a597378cac9b")
    }

    @Test("numbers are reduced modulo the curve's order less one, plus one")
    func reduction() {
        let n = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc529"
        func reduce(_ bigEndian: String) -> String {
            hex(P384KeyNumber.reduce(littleEndian: bytes(hex: bigEndian).reversed()))
        }
        #expect(reduce("00") == String(repeating: "0", count: 95) + "1")
        #expect(reduce(n + "72") == String(repeating: "0", count: 95) + "1")
        #expect(reduce(n + "71") == n + "72")
        #expect(reduce(n + "73") == String(repeating: "0", count: 95) + "2")
        // 2^448 - 1, computed apart with arbitrary precision.
        #expect(reduce(String(repeating: "f", count: 112)) == Self.largest)
    }
    static let largest =
        "00000000000000000000000000000000389cb27e0bc8d220a7e5f24db74f58851313e695333ad68e0000000000000000"

    static func request(
        root: UInt32 = 0, selection: UInt32 = 0, fields: UInt64 = 0, vmpl: UInt32 = 0, svn: UInt32 = 0, tcb: UInt64 = 0
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 0x20)
        bytes.store(root | selection << 1, at: 0)
        bytes.store(fields, at: 8)
        bytes.store(vmpl, at: 0x10)
        bytes.store(svn, at: 0x14)
        bytes.store(tcb, at: 0x18)
        return bytes
    }

    /// A guest with an ID block of SVN 7.
    static func identified() throws -> TestPlatform {
        let platform = try TestPlatform()
        let identity = try TestIdentity()
        try platform.makeGuest()
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000)))
        let block = IDBlock(
            launchDigest: platform.guest?.launchDigest ?? [], familyID: Array(1...16), imageID: Array(17...32),
            guestSVN: 7, policy: .standard)
        platform.machine.memory.store(block.encoded, at: TestPage.idBlock.address)
        platform.machine.memory.store(try identity.authenticate(block).encoded, at: TestPage.idAuthentication.address)
        var finish = LaunchFinishBuffer(context: TestPage.context.address, hostData: [9, 8, 7])
        finish.idBlockIsEnabled = true
        finish.authorKeyIsEnabled = true
        finish.idBlock = TestPage.idBlock.address
        finish.idAuthentication = TestPage.idAuthentication.address
        try platform.require(platform.run(finish))
        return platform
    }

    @Test("a key is the same for the same request and differs with everything that goes into it")
    func distinct() throws {
        let platform = try Self.identified()
        let committed = platform.firmware.platformStatus.currentTCB.rawValue
        let requests = [
            Self.request(), Self.request(root: 1), Self.request(vmpl: 1), Self.request(fields: 1),
            Self.request(fields: 2), Self.request(fields: 4), Self.request(fields: 8), Self.request(fields: 16),
            Self.request(fields: 16, svn: 7), Self.request(fields: 32, tcb: committed),
            Self.request(fields: 32, tcb: committed - 1), Self.request(root: 1, fields: 32, tcb: committed),
        ]
        var keys: Set<[UInt8]> = []
        for request in requests {
            let answer = try platform.ask(.keyRequest, request)
            #expect(answer.status == .success && answer.header.messageSize == 0x40)
            let again = try platform.ask(.keyRequest, request)
            #expect(again.payload == answer.payload)
            keys.insert(Array(answer.payload[0x20...]))
        }
        #expect(keys.count == requests.count)
        // Fields that are not selected do not count, nor does the selection of an endorsement key for the VMRK.
        let base = try platform.ask(.keyRequest, Self.request()).payload
        #expect(try platform.ask(.keyRequest, Self.request(svn: 3, tcb: 5)).payload == base)
        #expect(try platform.ask(.keyRequest, Self.request(selection: 1)).payload == base)
    }

    @Test("the context holds each selected field at its place")
    func context() throws {
        let platform = try Self.identified()
        let record = platform.firmware.withFirmware { $0.guests[TestPage.context] }
        let guest = try #require(record)
        let all = KeyRequest(
            decoding: Self.request(root: 1, fields: 0x3f, vmpl: 2, svn: 5, tcb: 0x0102_0304_0506_0708))
        let expected =
            [5, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]
            + [0, 0, 3, 0, 0, 0, 0, 0] + Array(17...32) + Array(1...16) + guest.launchDigest.bytes.prefix(32)
            + ([9, 8, 7] + [UInt8](repeating: 0, count: 29)) + guest.authorKeyDigest.prefix(32)
        #expect(Firmware.keyContext(all, guest) == expected)
        #expect(expected.count == 0xa8)
    }

    @Test(
        "a refused request gives its status in the answer, and no key",
        arguments: [
            ("reserved flag", request(root: 8), 0, 0x16), ("reserved word", request().replacing(4, 1), 0, 0x16),
            ("KEY_SEL 3", request(selection: 3), 0, 0x27), ("no VLEK", request(selection: 2), 0, 0x27),
            ("KEY_SEL does not count for the VMRK", request(root: 1, selection: 3), 0, 0),
            ("VMPL below the VMPCK", request(vmpl: 1), 2, 0x16), ("VMPL of the VMPCK", request(vmpl: 2), 2, 0),
            ("unknown field", request(fields: 64), 0, 0x16),
            ("SVN above the ID block's", request(fields: 16, svn: 8), 0, 0x16),
            ("reserved TCB byte", request(fields: 32, tcb: 1 << 16), 0, 0x16),
            ("quirk 13: TCB below as a number, one component above", request(fields: 32, tcb: 73 << 56), 0, 0x16),
            ("TCB components at the committed ones", request(fields: 32, tcb: 72 << 56 | 23 << 48 | 9), 0, 0),
        ] as [(String, [UInt8], UInt8, UInt16)])
    func refusals(_ name: String, _ request: [UInt8], _ vmpck: UInt8, _ status: UInt16) throws {
        let platform = try Self.identified()
        let answer = try platform.ask(.keyRequest, request, vmpck: vmpck)
        #expect(answer.status.rawValue == status)
        #expect(answer.payload[4...].allSatisfy { $0 == 0 } == (status != 0))
    }

    @Test("MASK_CHIP_KEY takes endorsement keys away, not the VMRK")
    func maskedKey() throws {
        let platform = try Self.identified()
        try platform.require(platform.run(ConfigBuffer(reportedTCB: TCBVersion(rawValue: 0), maskChipKey: true)))
        #expect(try platform.ask(.keyRequest, Self.request()).status == .invalidKey)
        #expect(try platform.ask(.keyRequest, Self.request(selection: 3)).status == .invalidKey)
        #expect(try platform.ask(.keyRequest, Self.request(root: 1)).status == .success)
    }

    @Test("a lower version's chain value follows from a higher one's, not the other way round")
    func chain() {
        let chip = ChipSecret(seed: 1, product: .genoa)
        let high = chip.sticks(TCBVersion(rawValue: 0x4817_0000_0000_0009))
        let low = chip.sticks(TCBVersion(rawValue: 0x4717_0000_0000_0009))
        #expect(Array(SHA384.hash(data: high[7])) == low[7] && high[..<7] == low[..<7])
        #expect(high[1] != low[7] && Set(high).count == 8)
        let other = chip.sticks(TCBVersion(rawValue: 0x4817_0000_0000_0008))
        #expect(zip(high, other).allSatisfy { $0 != $1 })
        let highest = chip.sticks(TCBVersion(rawValue: .max))
        var hashed = highest[0]
        for _ in 0..<255 { hashed = Array(SHA384.hash(data: hashed)) }
        #expect(hashed == chip.sticks(TCBVersion(rawValue: 0))[0])
        #expect(highest[1] == Array(SHA384.hash(data: [UInt8](repeating: 0, count: 8) + highest[0])))
        #expect(
            ChipSecret(seed: 2, product: .genoa).sticks(TCBVersion(rawValue: 0))[7]
                != chip.sticks(TCBVersion(rawValue: 0))[7])
    }
}

extension [UInt8] {
    /// The bytes with one changed.
    func replacing(_ index: Int, _ value: UInt8) -> [UInt8] {
        var bytes = self
        bytes[index] = value
        return bytes
    }
}
