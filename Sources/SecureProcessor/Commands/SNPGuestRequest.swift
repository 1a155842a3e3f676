// SNP_GUEST_REQUEST: a guest's sealed message to firmware, carried by a host that cannot read it.

internal import Crypto
internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_GUEST_REQUEST: opens a message, acts on it and seals the answer.
    ///
    /// What is wrong inside a message is said in the answer, with success to the host; the sequence advances. What is wrong
    /// before that is the host's status; nothing changes.
    ///
    /// - Spec: FWABI 56860, SNP_GUEST_REQUEST, "Guest messages"
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (an address
    ///   inside the RMP), INVALID_GUEST, INVALID_PAGE_STATE (response not Firmware), INVALID_PAGE_SIZE (request or
    ///   response 2M), INVALID_GUEST_STATE (not RUNNING), INVALID_PARAM (header crosses its page), the rules of
    ///   copy-in, INVALID_PARAM (header, size, payload crosses its page, VMPCK), BAD_MEASUREMENT (tag), AEAD_OFLOW
    ///   (sequence), INVALID_PARAM (kind, version, response crosses its page)
    /// - Deviates: a payload shorter than its structure is read as if zeros followed; unconfirmed
    mutating func snpGuestRequest(_ buffer: GuestRequestBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let request = try entry(at: buffer.request)
        let response = try entry(at: buffer.response)
        let pfn = try guestFrame(buffer.context)
        guard let guest = guests[pfn] else { throw .invalidGuest }
        guard response?.state == .firmware else { throw .invalidPageState }
        guard request?.pageSize != .size2M, response?.pageSize != .size2M else { throw .invalidPageSize }
        guard guest.state == .running else { throw .invalidGuestState }
        let (header, raw) = try guestMessageHeader(at: buffer.request)
        let payload = try openPayload(header, raw, at: buffer.request, keys: guest.vmpck)
        let count = guest.messageCounts[Int(header.vmpck)]
        guard count != .max - 1, header.sequenceNumber == count + 1 else { throw .aeadOverflow }
        guard let row = GuestMessages.row(for: header.type) else { throw .invalidParam }
        guard (1...row.maximumVersion(features)).contains(header.messageVersion) else { throw .invalidParam }
        let size = row.responseByteCount ?? payload.count
        guard Self.isWithinPage(buffer.response, byteCount: GuestMessageHeader.byteCount + size) else {
            throw .invalidParam
        }

        let message = GuestMessage(
            context: pfn, vmpck: header.vmpck, version: header.messageVersion, payload: payload)
        let answer = GuestMessages.answer(message, by: row, byteCount: size, &self)
        // An absorbed guest goes on counting where it was exported: its keys have come with it.
        let keysAreNew = guests[pfn]?.vmpck != guest.vmpck
        if !keysAreNew { guests[pfn]?.messageCounts[Int(header.vmpck)] = count + 2 }
        let reply = GuestMessageHeader(
            type: header.type.response, sequenceNumber: count + 2, messageSize: UInt16(size), vmpck: header.vmpck)
        let key = SymmetricKey(data: guest.vmpck[Int(header.vmpck)])
        try copyOut(GuestMessageSeal.seal(answer, header: reply, key: key), to: buffer.response)
    }

    /// Reads and checks the header of a request; returns it decoded and as it stands in memory.
    private func guestMessageHeader(at spa: SPA) throws(FirmwareStatus) -> (GuestMessageHeader, [UInt8]) {
        guard Self.isWithinPage(spa, byteCount: GuestMessageHeader.byteCount) else { throw .invalidParam }
        let start = try checkRange(spa, byteCount: GuestMessageHeader.byteCount)
        let raw = memory.bytes(start, count: GuestMessageHeader.byteCount)
        let header = GuestMessageHeader(decoding: raw)
        guard header.headerVersion == 1 else { throw .invalidParam }
        guard header.headerSize == GuestMessageHeader.byteCount else { throw .invalidParam }
        guard header.algorithm == GuestMessageHeader.aes256GCM else { throw .invalidParam }
        guard header.messageSize > 0, header.messageSize % 16 == 0 else { throw .invalidParam }
        return (header, raw)
    }

    /// Reads and opens the payload of a request.
    private func openPayload(
        _ header: GuestMessageHeader, _ raw: [UInt8], at spa: SPA, keys: [[UInt8]]
    ) throws(FirmwareStatus) -> [UInt8] {
        let size = Int(header.messageSize)
        guard Self.isWithinPage(spa, byteCount: GuestMessageHeader.byteCount + size) else { throw .invalidParam }
        guard Int(header.vmpck) < keys.count else { throw .invalidParam }
        let start = try checkRange(spa + UInt64(GuestMessageHeader.byteCount), byteCount: size)
        let key = SymmetricKey(data: keys[Int(header.vmpck)])
        guard let payload = GuestMessageSeal.open(memory.bytes(start, count: size), header, raw, key: key) else {
            throw .badMeasurement
        }
        return payload
    }
}

/// AES-256-GCM as guest messages use it.
enum GuestMessageSeal {
    /// The plaintext, or nil if the tag does not fit.
    static func open(
        _ ciphertext: [UInt8], _ header: GuestMessageHeader, _ raw: [UInt8], key: SymmetricKey
    ) -> [UInt8]? {
        guard let nonce = try? AES.GCM.Nonce(data: header.nonce),
            let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: header.tag.prefix(16)),
            let plain = try? AES.GCM.open(box, using: key, authenticating: raw[GuestMessageHeader.authenticatedBytes])
        else { return nil }
        return Array(plain)
    }

    /// Header, tag and ciphertext.
    static func seal(_ payload: [UInt8], header: GuestMessageHeader, key: SymmetricKey) -> [UInt8] {
        var header = header
        do {
            let box = try AES.GCM.seal(
                payload, using: key, nonce: AES.GCM.Nonce(data: header.nonce),
                authenticating: header.encoded[GuestMessageHeader.authenticatedBytes])
            header.tag = Array(box.tag) + [UInt8](repeating: 0, count: 16)
            return header.encoded + Array(box.ciphertext)
        } catch {
            preconditionFailure("AES-GCM refused to seal")
        }
    }
}
