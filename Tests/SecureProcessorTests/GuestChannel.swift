// The guest's side of guest messages: seals requests, opens answers. Written apart from the firmware's.

import Crypto
import Machine
import SNPArchitecture

@testable import SecureProcessor

/// A request in plain, and ways to spoil it.
struct TestMessage {
    var header: GuestMessageHeader
    var payload: [UInt8]
    /// Changes what lies in memory after it was sealed.
    var spoil: @Sendable (inout [UInt8]) -> Void = { _ in }

    init(_ type: GuestMessageType, _ payload: [UInt8], vmpck: UInt8 = 0, sequence: UInt64 = 1) {
        header = GuestMessageHeader(
            type: type, sequenceNumber: sequence, messageSize: UInt16(payload.count), vmpck: vmpck)
        self.payload = payload
    }

    /// Header and ciphertext, as the guest leaves them in shared memory.
    func sealed(_ key: [UInt8]) throws -> [UInt8] {
        var header = header
        var iv = [UInt8](repeating: 0, count: 12)
        for index in 0..<8 { iv[index] = UInt8(truncatingIfNeeded: header.sequenceNumber >> UInt64(index * 8)) }
        let box = try AES.GCM.seal(
            payload, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: iv),
            authenticating: header.encoded[0x30..<0x60])
        header.tag = Array(box.tag) + [UInt8](repeating: 0, count: 16)
        var bytes = header.encoded + Array(box.ciphertext)
        spoil(&bytes)
        return bytes
    }
}

/// What the guest found on the response page.
struct TestAnswer {
    var header: GuestMessageHeader
    var payload: [UInt8]
    /// The status in the payload.
    var status: FirmwareStatus { FirmwareStatus(rawValue: UInt16(payload[0]) | UInt16(payload[1]) << 8) }
}

extension TestPlatform {
    /// The keys of a guest's messages, as its secrets page has them.
    func messageKeys(_ context: PFN = TestPage.context) -> [[UInt8]] {
        firmware.withFirmware { $0.guests[context]?.vmpck ?? [] }
    }

    /// A guest that runs.
    func makeRunningGuest(
        _ context: PFN = TestPage.context, policy: GuestPolicy = .standard, asid: ASID = ASID(5),
        _ change: (inout LaunchFinishBuffer) -> Void = { _ in }
    ) throws {
        try makeGuest(context, policy: policy, asid: asid)
        var finish = LaunchFinishBuffer(context: context.address, hostData: [1, 2, 3])
        change(&finish)
        try require(run(finish))
    }

    /// Sends a message; returns the host's status and, if that is success, what the guest reads.
    func send(_ message: TestMessage, context: PFN = TestPage.context) throws -> (FirmwareStatus, TestAnswer?) {
        let key = messageKeys(context)[Int(min(message.header.vmpck, 3))]
        if machine.rmp.entry(TestPage.response).state != .firmware { try makeFirmware(TestPage.response) }
        machine.memory.store(try message.sealed(key), at: TestPage.request.address)
        let status = run(
            GuestRequestBuffer(
                context: context.address, request: TestPage.request.address, response: TestPage.response.address))
        guard status == .success else { return (status, nil) }
        let raw = machine.memory.bytes(TestPage.response.address, count: 4096)
        let header = GuestMessageHeader(decoding: raw)
        var iv = [UInt8](repeating: 0, count: 12)
        for index in 0..<8 { iv[index] = raw[0x20 + index] }
        let box = try AES.GCM.SealedBox(
            nonce: AES.GCM.Nonce(data: iv), ciphertext: raw[0x60..<(0x60 + Int(header.messageSize))], tag: raw[..<16])
        let plain = try AES.GCM.open(box, using: SymmetricKey(data: key), authenticating: raw[0x30..<0x60])
        return (status, TestAnswer(header: header, payload: Array(plain)))
    }

    /// Sends a message that the host must see succeed.
    func ask(
        _ type: GuestMessageType, _ payload: [UInt8], vmpck: UInt8 = 0, context: PFN = TestPage.context
    ) throws -> TestAnswer {
        let count = firmware.inspectGuest(context: context.address)?.messageCounts[Int(vmpck)] ?? 0
        let (status, answer) = try send(
            TestMessage(type, payload, vmpck: vmpck, sequence: count + 1), context: context)
        guard let answer else { throw Refused(status: status) }
        return answer
    }
}
