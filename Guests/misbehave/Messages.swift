// Guest messages that firmware refuses: its status stands in bits 31:0 of SW_EXITINFO2.

import Hardware

enum FirmwareStatus {
    static let badMeasurement: UInt64 = 0x0b
    static let invalidParam: UInt64 = 0x16
    static let aeadOverflow: UInt64 = 0x1d
}

func breakMessages() {
    Case.survived("replayed-message") {
        var channel = FirmwareChannel(keyIndex: 0)
        Check.that(channel.report(data: scratch_page(), vmpl: 0) != nil, "the first message is answered")
        Check.equal(status(channel.send()), FirmwareStatus.aeadOverflow, "the same message again is AEAD_OFLOW")
        Check.that(channel.report(data: scratch_page(), vmpl: 0) != nil, "the sequence goes on")
    }
    // The other cases use the other keys, whose sequences start at 1.
    Case.survived("forged-message") {
        var channel = FirmwareChannel(keyIndex: 1)
        channel.seal(FirmwareChannel.reportRequest, payloadSize: 0x60)
        store8(channel.request + 0x65, load8(channel.request + 0x65) ^ 1)
        Check.equal(status(channel.send()), FirmwareStatus.badMeasurement, "a changed message is BAD_MEASUREMENT")
    }
    Case.survived("skipped-message") {
        var channel = FirmwareChannel(keyIndex: 2)
        channel.sequence = 2
        channel.seal(FirmwareChannel.reportRequest, payloadSize: 0x60)
        Check.equal(status(channel.send()), FirmwareStatus.aeadOverflow, "a sequence number too far is AEAD_OFLOW")
    }
    Case.survived("unknown-key") {
        var channel = FirmwareChannel(keyIndex: 3)
        channel.seal(FirmwareChannel.reportRequest, payloadSize: 0x60)
        store8(channel.request + 0x3c, 4)
        Check.equal(status(channel.send()), FirmwareStatus.invalidParam, "a key that does not exist is INVALID_PARAM")
    }
    Case.survived("unknown-message") {
        var channel = FirmwareChannel(keyIndex: 3)
        channel.seal(0x7f, payloadSize: 0x60)
        Check.equal(status(channel.send()), FirmwareStatus.invalidParam, "a message of no kind is INVALID_PARAM")
    }
}

func status(_ result: GHCBResult) -> UInt64 { result.action << 48 | result.info2 }
