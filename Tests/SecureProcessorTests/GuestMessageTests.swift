// Guest messages: the seal, the sequence, and what each message answers.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Guest messages")
struct GuestMessageTests {
    /// A request for a report or a TSC_INFO: zeros.
    static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    static func tcb(_ answer: TestAnswer) -> UInt64 { answer.payload.integer(at: 8) }

    @Test("requests count 1, 3, 5 and answers 2, 4, 6, apart for each VMPCK")
    func sequence() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        for vmpck in 0..<4 as Range<UInt8> {
            for round in 0..<3 as Range<UInt64> {
                let answer = try platform.ask(.tscInfoRequest, Self.zeros(0x80), vmpck: vmpck)
                #expect(answer.header.sequenceNumber == 2 * round + 2 && answer.header.vmpck == vmpck)
                #expect(answer.header.type.rawValue == 0x12 && answer.header.messageVersion == 1)
                #expect(answer.header.messageSize == 0x80 && answer.header.algorithm == 1)
            }
        }
        #expect(platform.guest?.messageCounts == [6, 6, 6, 6])
    }

    @Test("a message sealed with another VMPCK is 0B")
    func otherKey() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        var message = TestMessage(.tscInfoRequest, Self.zeros(0x80), vmpck: 2)
        let key = platform.messageKeys()[1]
        let sealed = try message.sealed(key)
        message.spoil = { $0 = sealed }
        #expect(try platform.send(message).0 == .badMeasurement)
    }

    @Test("a failure inside a message is success to the host, and the sequence advances")
    func failureInside() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let answer = try platform.ask(.tscInfoRequest, [1] + Self.zeros(0x7f))
        #expect(answer.status == .invalidParam && answer.payload.dropFirst(4).allSatisfy { $0 == 0 })
        #expect(platform.guest?.messageCounts == [2, 0, 0, 0])
    }

    @Test("the C-bit of the three addresses does not count")
    func encryptionBit() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        try platform.makeFirmware(TestPage.response)
        let sealed = try TestMessage(.tscInfoRequest, Self.zeros(0x80)).sealed(platform.messageKeys()[0])
        platform.machine.memory.store(sealed, at: TestPage.request.address + 0x123)
        let bit: UInt64 = 1 << 51
        let status = platform.run(
            GuestRequestBuffer(
                context: TestPage.context.address, request: TestPage.request.address + (bit + 0x123),
                response: TestPage.response.address + (bit + 0x77)))
        #expect(status == .success)
        #expect(platform.machine.memory.bytes(TestPage.response.address + (0x77 + 0x34), count: 1) == [0x12])
    }

    @Test("TSC_INFO: scale in 8.32 fixed point rounded up, offset 0, factor 200")
    func tscInfo() throws {
        let platform = try TestPlatform()
        try platform.makeGuest { $0.desiredTSCKilohertz = 2_500_000 }
        try platform.require(platform.run(LaunchFinishBuffer(context: TestPage.context.address)))
        let answer = try platform.ask(.tscInfoRequest, Self.zeros(0x80))
        // 2,500,000 / 99,800 x 2^32, by hand: 107,589,361,122.2..., rounded up.
        #expect(answer.status == .success)
        let scale: UInt64 = answer.payload.integer(at: 8)
        #expect(Double(scale) / 4_294_967_296 >= 2_500_000.0 / 99_800)
        #expect(Double(scale - 1) / 4_294_967_296 < 2_500_000.0 / 99_800)
        #expect(answer.payload.integer(at: 0x10) as UInt64 == 0 && answer.payload.integer(at: 0x18) as UInt32 == 200)
    }

    @Test("CPUID: a good table comes back as it was, a bad one corrected with status 16")
    func cpuid() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let good = CPUIDFunction(eaxIn: 0x8000_0023, eax: 1, ebx: 5)
        let bad = CPUIDFunction(eaxIn: 0x8000_0023, eax: 3, edx: 1)
        func table(_ functions: [CPUIDFunction]) -> [UInt8] {
            var bytes = Self.zeros(0x10)
            bytes.store(UInt32(functions.count), at: 0)
            return bytes + functions.flatMap(\.encoded)
        }
        let first = try platform.ask(.cpuidRequest, table([good]))
        #expect(first.status == .success && first.header.messageSize == 0x40)
        #expect(first.payload.integer(at: 4) as UInt32 == 1 && Array(first.payload[0x10...]) == good.encoded)
        let second = try platform.ask(.cpuidRequest, table([good, bad]))
        #expect(second.status == .invalidParam && second.payload.integer(at: 4) as UInt32 == 2)
        let corrected = CPUIDFunction(decoding: Array(second.payload[0x40...]))
        #expect(corrected == CPUIDFunction(eaxIn: 0x8000_0023, eax: 1))
        var reserved = table([good])
        reserved[9] = 1
        #expect(try platform.ask(.cpuidRequest, reserved).status == .invalidParam)
        var tooMany = table([good])
        tooMany[0] = 2
        #expect(try platform.ask(.cpuidRequest, tooMany).status == .invalidParam)
    }

    @Test("FEATURE_INFO names the messages that firmware answers, and no others")
    func featureInfo() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        try platform.makeFirmware(TestPage.status)
        try platform.require(platform.run(FeatureInfoBuffer(subleaf: 1, output: TestPage.status.address)))
        let bits: UInt32 = platform.machine.memory.bytes(TestPage.status.address, count: 4).integer(at: 0)
        for index in 0..<16 as Range<UInt8> {
            let type = GuestMessageType(rawValue: index * 2 + 1)
            let count = platform.guest?.messageCounts[0] ?? 0
            let status = try platform.send(TestMessage(type, Self.zeros(0x80), sequence: count + 1)).0
            #expect((status == .success) == (bits >> UInt32(index) & 1 == 1), "message \(type.rawValue)")
        }
    }
}
