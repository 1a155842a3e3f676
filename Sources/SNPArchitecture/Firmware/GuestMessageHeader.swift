// The header of a message between a guest and firmware. The payload that follows is sealed with AES-256-GCM.

/// The kind of a guest message. An open set: requests are odd, the answer's kind is the request's plus one.
///
/// - Spec: FWABI 56860, "Guest messages"
@frozen public struct GuestMessageType: RawRepresentable, Hashable, Sendable {
    /// MSG_TYPE.
    public var rawValue: UInt8
    /// Makes a kind from its number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// MSG_CPUID_REQ.
    @inlinable public static var cpuidRequest: Self { Self(rawValue: 0x01) }
    /// MSG_KEY_REQ.
    @inlinable public static var keyRequest: Self { Self(rawValue: 0x03) }
    /// MSG_REPORT_REQ.
    @inlinable public static var reportRequest: Self { Self(rawValue: 0x05) }
    /// MSG_EXPORT_REQ.
    @inlinable public static var exportRequest: Self { Self(rawValue: 0x07) }
    /// MSG_IMPORT_REQ.
    @inlinable public static var importRequest: Self { Self(rawValue: 0x09) }
    /// MSG_ABSORB_REQ.
    @inlinable public static var absorbRequest: Self { Self(rawValue: 0x0b) }
    /// MSG_VMRK_REQ.
    @inlinable public static var vmrkRequest: Self { Self(rawValue: 0x0d) }
    /// MSG_ABSORB_NOMA_REQ.
    @inlinable public static var absorbWithoutAgentRequest: Self { Self(rawValue: 0x0f) }
    /// MSG_TSC_INFO_REQ.
    @inlinable public static var tscInfoRequest: Self { Self(rawValue: 0x11) }
    /// The kind of the answer to this request.
    @inlinable public var response: Self { Self(rawValue: rawValue &+ 1) }
}

/// The header.
///
/// - Spec: FWABI 56860, "Guest message format"
public struct GuestMessageHeader: FirmwareLayout, Hashable, Sendable {
    /// 0x60.
    public static let byteCount = 0x60
    /// The bytes that the tag covers as additional data.
    public static let authenticatedBytes = 0x30..<0x60
    /// ALGO of AES-256-GCM.
    public static let aes256GCM: UInt8 = 1
    /// The fields; firmware does not look at what has no meaning, but the tag covers what lies past 0x30.
    public static let fields: [LayoutField] = [
        .bytes("AUTHTAG", at: 0x00, byteCount: 32),
        .integer("MSG_SEQNO", at: 0x20, byteCount: 8),
        .unused(at: 0x28, byteCount: 8),
        .integer("ALGO", at: 0x30, byteCount: 1),
        .integer("HDR_VERSION", at: 0x31, byteCount: 1),
        .integer("HDR_SIZE", at: 0x32, byteCount: 2),
        .integer("MSG_TYPE", at: 0x34, byteCount: 1),
        .integer("MSG_VERSION", at: 0x35, byteCount: 1),
        .integer("MSG_SIZE", at: 0x36, byteCount: 2),
        .unused(at: 0x38, byteCount: 4),
        .integer("MSG_VMPCK", at: 0x3c, byteCount: 1),
        .unused(at: 0x3d, byteCount: 0x23),
    ]
    /// AUTHTAG, 32 bytes, of which AES-GCM uses 16.
    public var tag: [UInt8]
    /// MSG_SEQNO.
    public var sequenceNumber: UInt64
    /// ALGO: 1.
    public var algorithm: UInt8
    /// HDR_VERSION: 1.
    public var headerVersion: UInt8
    /// HDR_SIZE: 0x60.
    public var headerSize: UInt16
    /// MSG_TYPE.
    public var type: GuestMessageType
    /// MSG_VERSION.
    public var messageVersion: UInt8
    /// MSG_SIZE: the bytes of the payload.
    public var messageSize: UInt16
    /// MSG_VMPCK: which of the guest's four keys seals the message.
    public var vmpck: UInt8

    /// Makes a header of version 1 without a tag.
    public init(type: GuestMessageType, sequenceNumber: UInt64, messageSize: UInt16, vmpck: UInt8) {
        tag = [UInt8](repeating: 0, count: 32)
        self.sequenceNumber = sequenceNumber
        algorithm = Self.aes256GCM
        headerVersion = 1
        headerSize = UInt16(Self.byteCount)
        self.type = type
        messageVersion = 1
        self.messageSize = messageSize
        self.vmpck = vmpck
    }
    /// Reads a header.
    public init(decoding bytes: [UInt8]) {
        tag = bytes.field(at: 0, byteCount: 32)
        sequenceNumber = bytes.integer(at: 0x20)
        algorithm = bytes[0x30]
        headerVersion = bytes[0x31]
        headerSize = bytes.integer(at: 0x32)
        type = GuestMessageType(rawValue: bytes[0x34])
        messageVersion = bytes[0x35]
        messageSize = bytes.integer(at: 0x36)
        vmpck = bytes[0x3c]
    }
    /// The header's bytes.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(tag, at: 0, limit: 32)
        bytes.store(sequenceNumber, at: 0x20)
        bytes[0x30] = algorithm
        bytes[0x31] = headerVersion
        bytes.store(headerSize, at: 0x32)
        bytes[0x34] = type.rawValue
        bytes[0x35] = messageVersion
        bytes.store(messageSize, at: 0x36)
        bytes[0x3c] = vmpck
        return bytes
    }
    /// The nonce of AES-GCM: the sequence number and four zero bytes.
    public var nonce: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        bytes.store(sequenceNumber, at: 0)
        return bytes
    }
}
