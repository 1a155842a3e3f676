// Messages to firmware, sealed with a key from the secrets page, carried by the host in two shared pages.

import Hardware

/// A channel to firmware by one of the guest's four keys.
struct FirmwareChannel {
    static let headerSize: UInt64 = 0x60
    static let reportRequest: UInt8 = 5

    /// The outcome of one message.
    struct Answer {
        /// The host's word, then firmware's: SW_EXITINFO2.
        var status: UInt64
        /// The payload is genuine: tag, sequence, kind.
        var isGenuine: Bool
    }

    private let gcm: GCM
    private let keyIndex: UInt8
    let request: UInt64
    let response: UInt64
    /// The payload of the answer, in private memory.
    let plain: UInt64
    var sequence: UInt64 = 0

    /// Opens a channel with the key of a VMPL.
    init(keyIndex: UInt8) {
        let workspace = Pages.allocate()
        gcm = GCM(key: boot.secrets + 0x20 + UInt64(keyIndex) * 32, workspace: workspace)
        self.keyIndex = keyIndex
        request = Pages.allocateShared()
        response = Pages.allocateShared()
        plain = Pages.allocate()
    }

    /// A header on its way: in private memory, where the host cannot change it between check and use.
    private var header: UInt64 { plain + 0xf00 }

    /// Builds and seals a message in private memory, then shows it to the host. The payload is at `plain`.
    mutating func seal(_ kind: UInt8, payloadSize: UInt64) {
        for offset in stride(from: 0, to: Self.headerSize, by: 8) { store64(header + offset, 0) }
        store64(header + 0x20, sequence + 1)
        store8(header + 0x30, 1)
        store8(header + 0x31, 1)
        store16(header + 0x32, UInt16(Self.headerSize))
        store8(header + 0x34, kind)
        store8(header + 0x35, 1)
        store16(header + 0x36, UInt16(truncatingIfNeeded: payloadSize))
        store8(header + 0x3c, keyIndex)
        gcm.apply(nonce: sequence + 1, to: plain, count: payloadSize)
        let tag = gcm.tag(
            nonce: sequence + 1, additional: header + 0x30, additionalCount: 0x30, ciphertext: plain,
            count: payloadSize)
        store64(header, tag.0)
        store64(header + 8, tag.1)
        for offset in stride(from: 0, to: Self.headerSize, by: 8) {
            store64(request + offset, load64(header + offset))
        }
        for offset in stride(from: 0, to: payloadSize, by: 8) {
            store64(request + Self.headerSize + offset, load64(plain + offset))
        }
    }

    /// Sends what is in the request page and says what the host says. The sequence does not advance.
    func send() -> GHCBResult {
        Console.flush()
        guard let ghcb = GHCB.current else { return GHCBResult(action: 2, info2: 0) }
        ghcb.begin()
        return ghcb.call(ExitCode.guestRequest, request, response)
    }

    /// Takes the answer into private memory and opens it there.
    mutating func open(_ kind: UInt8) -> Bool {
        for offset in stride(from: 0, to: Self.headerSize, by: 8) {
            store64(header + offset, load64(response + offset))
        }
        let size = UInt64(load16(header + 0x36))
        guard size > 0, size <= 0xe00, load64(header + 0x20) == sequence + 2 else { return false }
        guard load8(header + 0x34) == kind + 1, load8(header + 0x3c) == keyIndex else { return false }
        for index in 0..<size { store8(plain + index, load8(response + Self.headerSize + index)) }
        let tag = gcm.tag(
            nonce: sequence + 2, additional: header + 0x30, additionalCount: 0x30, ciphertext: plain, count: size)
        guard tag.0 == load64(header), tag.1 == load64(header + 8) else { return false }
        gcm.apply(nonce: sequence + 2, to: plain, count: size)
        sequence += 2
        return true
    }

    /// One message there and back; the payload is at `plain` before and after.
    mutating func exchange(_ kind: UInt8, payloadSize: UInt64) -> Answer {
        seal(kind, payloadSize: payloadSize)
        let result = send()
        guard result.isDone, result.info2 == 0 else { return Answer(status: result.info2, isGenuine: false) }
        return Answer(status: 0, isGenuine: open(kind))
    }

    /// Asks for a report with 64 bytes of the guest's own. Returns where the report is, or nil.
    mutating func report(data: UInt64, vmpl: UInt32) -> UInt64? {
        for offset in stride(from: 0, to: UInt64(0x60), by: 8) { store64(plain + offset, 0) }
        for index in 0..<64 as Range<UInt64> { store8(plain + index, load8(data + index)) }
        store32(plain + 64, vmpl)
        let answer = exchange(Self.reportRequest, payloadSize: 0x60)
        guard answer.isGenuine, load32(plain) == 0, load32(plain + 4) == Report.byteCount else { return nil }
        return plain + 0x20
    }
}

/// Where the fields of an attestation report are.
enum Report {
    static let byteCount = 0x4a0
    static let version: UInt64 = 0
    static let vmpl: UInt64 = 0x30
    static let data: UInt64 = 0x50
    static let measurement: UInt64 = 0x90
}
