// Why the guest's side of a message cannot go on.

public import SNPArchitecture

/// Why a guest cannot send a request, or does not believe an answer.
public enum GuestMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There are VMPCK 0 to 3.
    case noSuchKey(Int)
    /// An earlier failure closed the channel: its sequence can no longer be known.
    case closed
    /// A request has been sealed and its answer not opened.
    case answerPending
    /// No request waits for an answer.
    case noRequest
    /// A payload is not a positive multiple of 16 bytes that fits into a page with its header.
    case payloadSize(Int)
    /// The sequence has no more numbers.
    case sequenceExhausted
    /// The answer is shorter than a header.
    case length(Int)
    /// HDR_VERSION of the answer.
    case headerVersion(UInt8)
    /// HDR_SIZE of the answer.
    case headerSize(UInt16)
    /// ALGO of the answer.
    case algorithm(UInt8)
    /// The answer is of another kind than the request asks for.
    case type(found: GuestMessageType, expected: GuestMessageType)
    /// MSG_VERSION of the answer is not the request's.
    case messageVersion(UInt8)
    /// MSG_VMPCK of the answer is not the channel's.
    case key(UInt8)
    /// MSG_SEQNO of the answer is not the request's plus one.
    case sequence(found: UInt64, expected: UInt64)
    /// MSG_SIZE of the answer goes past the page.
    case messageSize(UInt16)
    /// The tag does not fit: somebody changed the answer, or it was sealed with another key.
    case tag
    /// The answer's payload is too short for its kind, or says another size than its contents have.
    case payload(GuestMessageType)
    /// Firmware opened the request and refused what it asks for.
    case refused(FirmwareStatus)

    /// The cause in words.
    public var description: String {
        switch self {
        case .noSuchKey(let number): "there is no VMPCK \(number); use 0 to 3"
        case .closed: "the channel was closed by an earlier failure"
        case .answerPending: "the answer to the last request has not been opened"
        case .noRequest: "no request waits for an answer"
        case .payloadSize(let count): "a payload of \(count) bytes cannot be sent"
        case .sequenceExhausted: "the sequence numbers are used up"
        case .length(let count): "the answer has \(count) bytes, fewer than a header"
        case .headerVersion(let version): "the answer's header version is \(version), not 1"
        case .headerSize(let size): "the answer's header size is \(size), not \(GuestMessageHeader.byteCount)"
        case .algorithm(let number): "the answer's algorithm is \(number), not AES-256-GCM"
        case .type(let found, let expected):
            "the answer is of kind \(found.rawValue); \(expected.rawValue) is asked for"
        case .messageVersion(let version): "the answer's message version \(version) is not the request's"
        case .key(let number): "the answer is sealed with VMPCK \(number)"
        case .sequence(let found, let expected): "the answer's sequence number is \(found), not \(expected)"
        case .messageSize(let size): "the answer's payload of \(size) bytes goes past its page"
        case .tag: "the answer's tag is wrong"
        case .payload(let type): "the payload of the answer of kind \(type.rawValue) is malformed"
        case .refused(let status): "firmware answers \(status)"
        }
    }
}
