// Typed fields of command buffers: each is where the document says, and setting it touches nothing else.

import SNPArchitecture
import Testing

@Suite("Fields of command buffers")
struct FirmwareAccessorTests {
    /// The buffer's words as the document lays them out.
    static func words(_ buffer: some CommandBuffer) -> [UInt64] {
        let bytes = buffer.encoded + [0, 0, 0, 0]
        return (0..<(buffer.encoded.count + 7) / 8).map { word in
            (0..<8).reduce(0) { $0 | UInt64(bytes[word * 8 + $1]) << UInt64($1 * 8) }
        }
    }

    @Test("SNP_ACTIVATE_EX, SNP_ACTIVATE")
    func activate() {
        let buffer = ActivateExBuffer(context: SPA(0x1000), asid: ASID(5), count: 3, list: SPA(0x2008))
        #expect(Self.words(buffer) == [0x20, 0x1000, 3 << 32 | 5, 0x2008])
        #expect(buffer.length == 0x20 && buffer.context == SPA(0x1000) && buffer.asid == ASID(5))
        #expect(buffer.count == 3 && buffer.list == SPA(0x2008))
        #expect(Self.words(ActivateBuffer(context: SPA(0x1000), asid: ASID(5))) == [0x1000, 5])
    }

    @Test("SNP_PAGE_SWAP_OUT: page type and flags share one word")
    func swapOut() {
        var buffer = PageSwapOutBuffer(
            context: SPA(0x1000), source: SPA(0x2000), destination: SPA(0x3000), metadata: SPA(0x4040))
        #expect(Self.words(buffer) == [0x1000, 0x2000, 0x3000, 0x4040, 0, 0])
        buffer.softwareData = 0x0102_0304_0506_0708
        buffer.pageSize = .size2M
        #expect(Self.words(buffer)[4...] == [0x0102_0304_0506_0708, 0x01])
        buffer.pageType = 2
        #expect(Self.words(buffer)[5] == 0x05 && buffer.pageType == 2)
        buffer.usesRootEntry = true
        buffer.pageType = 1
        #expect(Self.words(buffer)[5] == 0x13 && buffer.pageType == 1 && buffer.pageSize == .size2M)
        buffer.pageSize = .size4K
        buffer.pageType = 7
        #expect(Self.words(buffer)[5] == 0x16 && buffer.pageType == 3 && buffer.reservedIsZero)
    }

    @Test("SNP_PAGE_SWAP_IN: as SNP_PAGE_SWAP_OUT, and the bit for the same place")
    func swapIn() {
        var buffer = PageSwapInBuffer(
            context: SPA(0x1000), source: SPA(0x2000), destination: SPA(0x3000), metadata: SPA(0x4040))
        buffer.isInPlace = true
        #expect(Self.words(buffer) == [0x1000, 0x2000, 0x3000, 0x4040, 0, 0x08])
        buffer.usesRootEntry = true
        buffer.pageSize = .size2M
        buffer.pageType = 2
        #expect(Self.words(buffer)[5] == 0x1d && buffer.reservedIsZero && buffer.usesRootEntry && buffer.isInPlace)
        buffer.isInPlace = false
        #expect(Self.words(buffer)[5] == 0x15 && buffer.pageType == 2 && buffer.pageSize == .size2M)
    }

    @Test("SNP_PAGE_MOVE, SNP_PAGE_MD_INIT, SNP_PAGE_SET_STATE, SNP_PAGE_UNSMASH")
    func pages() {
        var move = PageMoveBuffer(context: SPA(0x1000), source: SPA(0x2000), destination: SPA(0x3000))
        move.pageSize = .size2M
        #expect(Self.words(move) == [0x1000, 1, 0x2000, 0x3000] && move.pageSize == .size2M)
        let metadata = PageMDInitBuffer(context: SPA(0x1000), page: SPA(0x2000))
        #expect(Self.words(metadata) == [0x1000, 0x2000])
        let list = PageSetStateBuffer(list: SPA(0x2000))
        #expect(Self.words(list) == [0x10, 0x2000] && list.length == 0x10)
        #expect(Self.words(PageUnsmashBuffer(page: SPA(0x20_0000))) == [0x20_0000])
    }

    @Test("SNP_DBG_DECRYPT, SNP_DBG_ENCRYPT, SNP_GUEST_REQUEST: addresses in the document's order")
    func addresses() {
        let expected: [UInt64] = [0x1000, 0x2000, 0x3000]
        let (a, b, c) = (SPA(0x1000), SPA(0x2000), SPA(0x3000))
        #expect(Self.words(DebugDecryptBuffer(context: a, source: b, destination: c)) == expected)
        #expect(Self.words(DebugEncryptBuffer(context: a, source: b, destination: c)) == expected)
        #expect(Self.words(GuestRequestBuffer(context: a, request: b, response: c)) == expected)
        #expect(Self.words(GuestStatusBuffer(context: a, status: b)) == [0x1000, 0x2000])
    }

    @Test("SNP_VLEK_LOAD, SNP_CONFIG, SNP_FEATURE_INFO, SNP_COMMIT, SNP_SHUTDOWN_EX")
    func platform() {
        var vlek = VLEKLoadBuffer(wrapped: SPA(0x2008))
        vlek.version = 3
        #expect(Self.words(vlek) == [3 << 32 | 0x10, 0x2008] && vlek.length == 0x10)
        let tcb = TCBVersion(rawValue: 0x4817_0000_0000_0009)
        #expect(Self.words(ConfigBuffer(reportedTCB: tcb, maskChipID: true)).prefix(2) == [tcb.rawValue, 1])
        let masked = ConfigBuffer(reportedTCB: tcb, maskChipKey: true)
        #expect(Self.words(masked).prefix(2) == [tcb.rawValue, 2] && masked.maskChipKey && !masked.maskChipID)
        #expect(Self.words(FeatureInfoBuffer(subleaf: 1, output: SPA(0x2004))) == [1 << 32 | 0x10, 0x2004])
        #expect(CommitBuffer(length: 4).encoded == [4, 0, 0, 0])
        #expect(Self.words(ShutdownExBuffer(iommuShutdown: true, x86Shutdown: false)) == [1 << 32 | 8])
        #expect(Self.words(ShutdownExBuffer(iommuShutdown: false, x86Shutdown: true)) == [2 << 32 | 8])
    }

    @Test("the nonce of a guest message is its number and four zeros")
    func nonce() {
        let header = GuestMessageHeader(
            type: .reportRequest, sequenceNumber: 0x0102_0304_0506_0708, messageSize: 0x60, vmpck: 2)
        #expect(header.nonce == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0])
        #expect(header.encoded[0x30..<0x40] == [1, 1, 0x60, 0, 5, 1, 0x60, 0, 0, 0, 0, 0, 2, 0, 0, 0])
        #expect(GuestMessageHeader.authenticatedBytes == 0x30..<0x60)
    }
}
