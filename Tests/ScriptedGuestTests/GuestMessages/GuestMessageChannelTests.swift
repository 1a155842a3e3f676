// The guest's end of a channel, against answers that the test seals itself.

import Crypto
import SNPArchitecture
import ScriptedGuest
import Testing

/// A page of secrets whose keys everybody knows.
private let secrets = SecretsPage(
    initialMigrationImage: false, fms: 0, gosvw: [], vmpck: (1...4).map { [UInt8](repeating: $0, count: 32) },
    vmsaTweakBitmap: [], tscFactor: 0)

/// Seals an answer as firmware does, after a change of its header.
private func answer(
    to page: [UInt8], _ payload: [UInt8], key: Int = 1, _ change: (inout GuestMessageHeader) -> Void = { _ in }
) throws -> [UInt8] {
    let request = GuestMessageHeader(decoding: page)
    var header = GuestMessageHeader(
        type: request.type.response, sequenceNumber: request.sequenceNumber + 1, messageSize: UInt16(payload.count),
        vmpck: request.vmpck)
    change(&header)
    let box = try AES.GCM.seal(
        payload, using: SymmetricKey(data: secrets.vmpck[key]), nonce: AES.GCM.Nonce(data: header.nonce),
        authenticating: header.encoded[0x30..<0x60])
    header.tag = Array(box.tag) + [UInt8](repeating: 0, count: 16)
    let bytes = header.encoded + Array(box.ciphertext)
    return bytes + [UInt8](repeating: 0, count: 4096 - bytes.count)
}

@Suite("A guest's channel to firmware")
struct GuestMessageChannelTests {
    @Test("a request is a page whose header says what it is, sealed with the VMPCK that it names")
    func request() throws {
        for number in 0..<4 {
            var channel = try GuestMessageChannel(vmpck: number, secrets: secrets)
            let payload = (0..<0x60).map { UInt8($0) }
            let page = try channel.seal(.reportRequest, payload)
            #expect(page.count == 4096)
            // Offsets by hand: 20 sequence, 30 algorithm, 31 version, 32 size, 34 kind, 35 version, 36 payload, 3C key.
            #expect(Array(page[0x20..<0x28]) == [1, 0, 0, 0, 0, 0, 0, 0] && page[0x28..<0x30].allSatisfy { $0 == 0 })
            #expect(Array(page[0x30..<0x38]) == [1, 1, 0x60, 0, 5, 1, 0x60, 0] && page[0x3c] == UInt8(number))
            #expect(page[0x10..<0x20].allSatisfy { $0 == 0 } && page[0xc0...].allSatisfy { $0 == 0 })
            let nonce: [UInt8] = [1] + [UInt8](repeating: 0, count: 11)
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: nonce), ciphertext: page[0x60..<0xc0], tag: page[..<0x10])
            let key = SymmetricKey(data: secrets.vmpck[number])
            #expect(Array(try AES.GCM.open(box, using: key, authenticating: page[0x30..<0x60])) == payload)
        }
    }

    @Test("requests count 1, 3, 5; an answer is read once")
    func sequence() throws {
        var channel = try GuestMessageChannel(vmpck: 1, secrets: secrets)
        for number in [1, 3, 5] as [UInt64] {
            let page = try channel.seal(.tscInfoRequest, [UInt8](repeating: 0, count: 0x80))
            #expect(GuestMessageHeader(decoding: page).sequenceNumber == number)
            #expect(throws: GuestMessageError.answerPending) {
                try channel.seal(.tscInfoRequest, [UInt8](repeating: 0, count: 16))
            }
            let reply = try answer(to: page, [UInt8](repeating: 9, count: 32))
            #expect(try channel.open(reply) == [UInt8](repeating: 9, count: 32))
            #expect(channel.sequenceNumber == number + 1)
            #expect(throws: GuestMessageError.noRequest) { try channel.open(reply) }
        }
        #expect(channel.isOpen)
    }

    /// What is wrong with an answer, and the error.
    static let bad: [(String, GuestMessageError, @Sendable ([UInt8]) throws -> [UInt8])] = {
        let payload = [UInt8](repeating: 1, count: 32)
        typealias Change = @Sendable (inout GuestMessageHeader) -> Void
        func sealed(_ name: String, _ error: GuestMessageError, _ change: @escaping Change) -> (
            String, GuestMessageError, @Sendable ([UInt8]) throws -> [UInt8]
        ) { (name, error, { page in try answer(to: page, payload, change) }) }
        return [
            ("too short", .length(0x5f), { page in Array(try answer(to: page, payload).prefix(0x5f)) }),
            ("zeros", .headerVersion(0), { _ in [UInt8](repeating: 0, count: 4096) }),
            sealed("header version", .headerVersion(2)) { $0.headerVersion = 2 },
            sealed("header size", .headerSize(0x50)) { $0.headerSize = 0x50 },
            sealed("algorithm", .algorithm(2)) { $0.algorithm = 2 },
            sealed("kind", .type(found: GuestMessageType(rawValue: 4), expected: GuestMessageType(rawValue: 6))) {
                $0.type = GuestMessageType(rawValue: 4)
            },
            sealed("the request itself", .type(found: .reportRequest, expected: .reportRequest.response)) {
                $0.type = .reportRequest
            },
            sealed("message version", .messageVersion(2)) { $0.messageVersion = 2 },
            sealed("key number", .key(0)) { $0.vmpck = 0 },
            sealed("sequence not moved", .sequence(found: 1, expected: 2)) { $0.sequenceNumber = 1 },
            sealed("sequence too far", .sequence(found: 4, expected: 2)) { $0.sequenceNumber = 4 },
            sealed("size past the page", .messageSize(0xfa1)) { $0.messageSize = 0xfa1 },
            sealed("size not that of the ciphertext", .tag) { $0.messageSize = 16 },
            ("another key", .tag, { page in try answer(to: page, payload, key: 2) }),
            (
                "tag", .tag,
                { page in
                    var bytes = try answer(to: page, payload)
                    bytes[3] ^= 1
                    return bytes
                }
            ),
            (
                "ciphertext", .tag,
                { page in
                    var bytes = try answer(to: page, payload)
                    bytes[0x60] ^= 1
                    return bytes
                }
            ),
            (
                "reserved header byte", .tag,
                { page in
                    var bytes = try answer(to: page, payload)
                    bytes[0x5f] ^= 1
                    return bytes
                }
            ),
        ]
    }()

    @Test("each bad answer is refused for its cause, and closes the channel", arguments: bad.indices)
    func refused(_ index: Int) throws {
        let (name, error, make) = Self.bad[index]
        var channel = try GuestMessageChannel(vmpck: 1, secrets: secrets)
        let page = try channel.seal(.reportRequest, [UInt8](repeating: 0, count: 0x60))
        let good = try answer(to: page, [UInt8](repeating: 1, count: 32))
        let reply = try make(page)
        #expect(throws: error, "\(name)") { try channel.open(reply) }
        #expect(!channel.isOpen)
        #expect(throws: GuestMessageError.closed) { try channel.open(good) }
        #expect(throws: GuestMessageError.closed) {
            try channel.seal(.reportRequest, [UInt8](repeating: 0, count: 0x60))
        }
    }

    @Test("what cannot be sent is refused, and costs no number")
    func sending() throws {
        for number in [-1, 4] {
            #expect(throws: GuestMessageError.noSuchKey(number)) {
                try GuestMessageChannel(vmpck: number, secrets: secrets)
            }
        }
        var channel = try GuestMessageChannel(vmpck: 1, secrets: secrets)
        for count in [0, 15, 17, 0xfb0] {
            #expect(throws: GuestMessageError.payloadSize(count)) {
                try channel.seal(.reportRequest, [UInt8](repeating: 0, count: count))
            }
        }
        let page = try channel.seal(.exportRequest, [UInt8](repeating: 0, count: 0xfa0))
        #expect(GuestMessageHeader(decoding: page).sequenceNumber == 1)
        var last = try GuestMessageChannel(vmpck: 1, secrets: secrets, sequenceNumber: .max - 1)
        #expect(throws: GuestMessageError.sequenceExhausted) {
            try last.seal(.reportRequest, [UInt8](repeating: 0, count: 0x60))
        }
    }

    @Test("a report request is 60 bytes: data, VMPL, KEY_SEL; an answer must hold a report")
    func reportMessages() throws {
        let request = ReportRequestMessage(reportData: [0xaa, 0xbb], vmpl: 2, keySelection: .vlek).encoded
        #expect(request.count == 0x60 && request[0] == 0xaa && request[1] == 0xbb && request[0x40] == 2)
        #expect(request[0x44] == 2 && request.reduce(0) { $0 + ($1 == 0 ? 0 : 1) } == 4)
        var payload = [UInt8](repeating: 0, count: 0x4c0)
        payload[4] = 0xa0
        payload[5] = 0x04
        payload[0x20] = 7
        #expect(try ReportResponseMessage(decoding: payload).report.first == 7)
        for (offset, value) in [(4, UInt8(0xa1)), (6, 1)] {
            var bad = payload
            bad[offset] = value
            #expect(throws: GuestMessageError.payload(.reportRequest.response)) {
                try ReportResponseMessage(decoding: bad)
            }
        }
        #expect(throws: GuestMessageError.payload(.reportRequest.response)) {
            try ReportResponseMessage(decoding: Array(payload.dropLast()))
        }
        payload[0] = 0x27
        #expect(throws: GuestMessageError.refused(.invalidKey)) { try ReportResponseMessage(decoding: payload) }
        #expect(throws: GuestMessageError.payload(.reportRequest.response)) {
            try ReportResponseMessage(decoding: [0x27])
        }
    }
}
