// One of a guest's four channels to firmware: a key from its secrets page and a sequence that both sides count.
//
// Leaves out how the pages reach firmware: that is the host's part, which the channel does not trust.

internal import Crypto
public import SNPArchitecture

/// The guest's end of a channel of guest messages.
///
/// Whatever is wrong with an answer closes the channel for good: with the sequence in doubt a further request could
/// reuse a nonce, and the key with it.
///
/// - Spec: FWABI 56860, "Guest messages"
public struct GuestMessageChannel: Sendable {
    /// The size of the pages that carry requests and answers.
    public static let pageByteCount = 4096

    /// Which of the guest's four keys seals the messages.
    public let vmpck: UInt8
    /// The number of the last message, of either side. Requests are odd, answers even.
    public private(set) var sequenceNumber: UInt64
    /// Whether requests can still be sent.
    public private(set) var isOpen = true
    private let key: [UInt8]
    private var pending: GuestMessageHeader?

    /// Opens a channel with a key of the secrets page.
    ///
    /// - Parameter sequenceNumber: the number of the last message; 0 for a guest that has not sent any
    /// - Throws: `.noSuchKey`
    public init(vmpck: Int, secrets: SecretsPage, sequenceNumber: UInt64 = 0) throws(GuestMessageError) {
        guard secrets.vmpck.indices.contains(vmpck), vmpck < 4 else { throw .noSuchKey(vmpck) }
        self.vmpck = UInt8(vmpck)
        key = secrets.vmpck[vmpck]
        self.sequenceNumber = sequenceNumber
    }

    /// Seals a request into a page.
    ///
    /// - Throws: in check order: `.closed`, `.answerPending`, `.payloadSize`, `.sequenceExhausted`
    public mutating func seal(
        _ type: GuestMessageType, _ payload: [UInt8], version: UInt8 = 1
    ) throws(GuestMessageError) -> [UInt8] {
        guard isOpen else { throw .closed }
        guard pending == nil else { throw .answerPending }
        let room = Self.pageByteCount - GuestMessageHeader.byteCount
        guard !payload.isEmpty, payload.count % 16 == 0, payload.count <= room else {
            throw .payloadSize(payload.count)
        }
        guard sequenceNumber < .max - 1 else { throw .sequenceExhausted }
        var header = GuestMessageHeader(
            type: type, sequenceNumber: sequenceNumber + 1, messageSize: UInt16(payload.count), vmpck: vmpck)
        header.messageVersion = version
        let ciphertext: [UInt8]
        do {
            let box = try AES.GCM.seal(
                payload, using: SymmetricKey(data: key), nonce: AES.GCM.Nonce(data: header.nonce),
                authenticating: header.encoded[GuestMessageHeader.authenticatedBytes])
            header.tag = Array(box.tag) + [UInt8](repeating: 0, count: 16)
            ciphertext = Array(box.ciphertext)
        } catch {
            preconditionFailure("AES-GCM refused to seal with a key of 32 and a nonce of 12 bytes")
        }
        pending = header
        let page = header.encoded + ciphertext
        return page + [UInt8](repeating: 0, count: Self.pageByteCount - page.count)
    }

    /// Opens the answer to the last request.
    ///
    /// - Throws: in check order: `.closed`, `.noRequest`; then, and the channel is closed: `.length`, `.headerVersion`,
    ///   `.headerSize`, `.algorithm`, `.type`, `.messageVersion`, `.key`, `.sequence`, `.messageSize`, `.tag`
    public mutating func open(_ page: [UInt8]) throws(GuestMessageError) -> [UInt8] {
        guard isOpen else { throw .closed }
        guard let request = pending else { throw .noRequest }
        do throws(GuestMessageError) {
            let payload = try plaintext(of: page, answering: request)
            sequenceNumber = request.sequenceNumber + 1
            pending = nil
            return payload
        } catch {
            close()
            throw error
        }
    }

    /// Closes the channel: no answer came, or one that cannot be believed.
    public mutating func close() {
        isOpen = false
        pending = nil
    }

    private func plaintext(
        of page: [UInt8], answering request: GuestMessageHeader
    ) throws(GuestMessageError) -> [UInt8] {
        guard page.count >= GuestMessageHeader.byteCount else { throw .length(page.count) }
        let header = GuestMessageHeader(decoding: page)
        let expected = request.sequenceNumber + 1
        guard header.headerVersion == 1 else { throw .headerVersion(header.headerVersion) }
        guard header.headerSize == GuestMessageHeader.byteCount else { throw .headerSize(header.headerSize) }
        guard header.algorithm == GuestMessageHeader.aes256GCM else { throw .algorithm(header.algorithm) }
        guard header.type == request.type.response else {
            throw .type(found: header.type, expected: request.type.response)
        }
        guard header.messageVersion == request.messageVersion else { throw .messageVersion(header.messageVersion) }
        guard header.vmpck == vmpck else { throw .key(header.vmpck) }
        guard header.sequenceNumber == expected else {
            throw .sequence(found: header.sequenceNumber, expected: expected)
        }
        let end = GuestMessageHeader.byteCount + Int(header.messageSize)
        guard end <= page.count else { throw .messageSize(header.messageSize) }
        guard let nonce = try? AES.GCM.Nonce(data: header.nonce),
            let box = try? AES.GCM.SealedBox(
                nonce: nonce, ciphertext: page[GuestMessageHeader.byteCount..<end], tag: header.tag.prefix(16)),
            let plain = try? AES.GCM.open(
                box, using: SymmetricKey(data: key), authenticating: page[GuestMessageHeader.authenticatedBytes])
        else { throw .tag }
        return Array(plain)
    }
}
