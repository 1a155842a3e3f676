// The flat list of guest messages: kind, largest version, size of the answer, handler.

internal import SNPArchitecture

/// A message whose seal held.
struct GuestMessage {
    /// The context page of the guest that sent it.
    var context: PFN
    /// The key that sealed it.
    var vmpck: UInt8
    /// MSG_VERSION.
    var version: UInt8 = 1
    /// The plaintext.
    var payload: [UInt8]

    /// The first bytes of the payload; zeros follow a payload that is shorter.
    func prefix(_ byteCount: Int) -> [UInt8] {
        Array(payload.prefix(byteCount)) + [UInt8](repeating: 0, count: max(0, byteCount - payload.count))
    }
}

/// The messages that this firmware answers.
enum GuestMessages {
    /// A handler: it returns the answer's payload with its status, or throws the status of an answer that is all zeros
    /// else.
    typealias Handler = @Sendable (inout Firmware, GuestMessage) throws(FirmwareStatus) -> [UInt8]

    struct Row: Sendable {
        var type: GuestMessageType
        /// The feature with which the message has a version 2.
        var secondVersion: FirmwareFeatures?
        /// The size of the answer's payload; nil for that of the request.
        var responseByteCount: Int?
        var run: Handler

        init(
            _ type: GuestMessageType, _ responseByteCount: Int?, secondVersion: FirmwareFeatures? = nil,
            _ run: @escaping Handler
        ) {
            self.type = type
            self.secondVersion = secondVersion
            self.responseByteCount = responseByteCount
            self.run = run
        }
        /// The largest version that firmware with these features knows.
        func maximumVersion(_ features: FirmwareFeatures) -> UInt8 {
            secondVersion.map { features.contains($0) } == true ? 2 : 1
        }
    }

    static let rows: [Row] = [
        Row(.cpuidRequest, nil) { firmware, message throws(FirmwareStatus) in
            try firmware.answerCPUID(message)
        },
        Row(.keyRequest, 0x40, secondVersion: .verifyMitigation) { firmware, message throws(FirmwareStatus) in
            try firmware.answerKey(message)
        },
        Row(.reportRequest, 0x4c0) { firmware, message throws(FirmwareStatus) in
            try firmware.answerReport(message)
        },
        Row(.exportRequest, 0xfa0) { firmware, message throws(FirmwareStatus) in
            try firmware.answerExport(message)
        },
        Row(.importRequest, 0x10) { firmware, message throws(FirmwareStatus) in
            try firmware.answerImport(message)
        },
        Row(.absorbRequest, 0x10) { firmware, message throws(FirmwareStatus) in
            try firmware.answerAbsorb(message)
        },
        Row(.vmrkRequest, 0x10) { firmware, message throws(FirmwareStatus) in
            try firmware.answerVMRK(message)
        },
        Row(.absorbWithoutAgentRequest, 0x10) { firmware, message throws(FirmwareStatus) in
            try firmware.answerAbsorbWithoutAgent(message)
        },
        Row(.tscInfoRequest, 0x80) { firmware, message throws(FirmwareStatus) in
            try firmware.answerTSCInfo(message)
        },
    ]

    static func row(for type: GuestMessageType) -> Row? { rows.first { $0.type == type } }

    /// Runs a handler; returns a payload of the given size.
    static func answer(_ message: GuestMessage, by row: Row, byteCount: Int, _ firmware: inout Firmware) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: byteCount)
        do throws(FirmwareStatus) {
            result.store(try row.run(&firmware, message), at: 0, limit: byteCount)
        } catch {
            result.store(UInt32(error.rawValue), at: 0)
        }
        return result
    }
}
