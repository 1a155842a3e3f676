// The legacy commands that write into their own buffer, and the rules that SNP adds for such buffers.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// INVALID_PAGE_STATE of a legacy command's own buffer: 64 more than the status.
    static let bufferPageState = FirmwareStatus(rawValue: FirmwareStatus.invalidPageState.rawValue + 0x40)

    /// Runs a legacy command to its end.
    ///
    /// While SNP is INIT a buffer that firmware writes back to must be firmware's: checked first, and its first page is
    /// Reclaim afterwards, whatever came of the command.
    ///
    /// - Spec: FWABI 56860, "Command buffers", "Legacy commands"
    mutating func executeLegacy(_ row: LegacyCommandTable.Row, buffer: SPA) -> FirmwareStatus {
        let isChecked = row.buffer == .writtenAndChecked && state == .initialized
        if isChecked {
            do throws(FirmwareStatus) { try checkLegacyBuffer(buffer, byteCount: row.bufferSize) } catch {
                return error
            }
        }
        let status = runLegacy(row, buffer: buffer)
        if isChecked { releaseLegacyBuffer(buffer) }
        return status
    }

    private mutating func runLegacy(_ row: LegacyCommandTable.Row, buffer: SPA) -> FirmwareStatus {
        let size = min(row.bufferSize, CommandBytes.maximumByteCount)
        do throws(FirmwareStatus) {
            var bytes = try copyIn(buffer, byteCount: size)
            var failure: FirmwareStatus?
            do throws(FirmwareStatus) { try row.run(&self, &bytes) } catch { failure = error }
            if row.buffer != .read, failure == nil || failure == .invalidLength {
                try copyOut(bytes.prefix(size), to: buffer)
            }
            return failure ?? .success
        } catch {
            return error
        }
    }

    /// Checks each page of a buffer.
    ///
    /// - Throws: in check order: INVALID_ADDRESS (the range), 0x5A (a page neither Firmware nor Default)
    private func checkLegacyBuffer(_ spa: SPA, byteCount: Int) throws(FirmwareStatus) {
        guard let start = try? checkRange(spa, byteCount: byteCount) else { throw .invalidAddress }
        do throws(FirmwareStatus) { try checkWritable(start, byteCount: byteCount) } catch {
            throw Self.bufferPageState
        }
    }

    /// Makes the first page of a buffer Reclaim.
    private func releaseLegacyBuffer(_ spa: SPA) {
        let pfn = frame(of: spa)
        guard rmp.covers(pfn), rmp.entry(pfn).state == .firmware else { return }
        var entry = rmp.entry(pfn)
        entry.immutable = false
        rmp.firmwareWrite(pfn, entry)
    }

    /// Legacy PLATFORM_STATUS.
    ///
    /// - Spec: SEV API 55766, PLATFORM_STATUS
    func sevPlatformStatus(_ buffer: inout SEVPlatformStatusBuffer) {
        buffer = SEVPlatformStatusBuffer()
        buffer.apiMajor = version.major
        buffer.apiMinor = version.minor
        buffer.build = version.build
        buffer.state = legacy.state
        buffer.encryptedStateIsEnabled = legacy.encryptedStateIsEnabled
    }

    /// Legacy GET_ID: the chip's identifier.
    ///
    /// - Spec: SEV API 55766, GET_ID
    /// - Throws: in check order: INVALID_LENGTH (too little room: the room needed is written back), the rules of copy-out,
    ///   INVALID_PAGE_STATE (SNP is INIT and a page is neither Firmware nor Default)
    func sevGetID(_ buffer: inout SEVGetIDBuffer) throws(FirmwareStatus) {
        try negotiate(&buffer.length, needed: UInt32(chip.identifier.count))
        try checkOutput(buffer.address, byteCount: chip.identifier.count)
        try copyOut(chip.identifier, to: buffer.address)
    }

    /// Legacy PEK_CSR: tells how much room the request needs.
    ///
    /// - Spec: SEV API 55766, PEK_CSR
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is UNINIT), INVALID_LENGTH (too little room: the room
    ///   needed is written back), the rules of copy-out, INVALID_PAGE_STATE, UNSUPPORTED
    /// - Deviates: no legacy certificates are made: with enough room the command is UNSUPPORTED
    func sevPEKCSR(_ buffer: inout SEVCertificateRequestBuffer) throws(FirmwareStatus) {
        try checkLegacyIsInitialized()
        try negotiate(&buffer.length, needed: Self.certificateByteCount)
        try checkOutput(buffer.address, byteCount: Int(Self.certificateByteCount))
        throw .unsupported
    }

    /// Legacy PDH_CERT_EXPORT: tells how much room certificate and chain need.
    ///
    /// - Spec: SEV API 55766, PDH_CERT_EXPORT
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is UNINIT), INVALID_PARAM (reserved bits),
    ///   INVALID_LENGTH (too little room for either: the room needed for both is written back), the rules of copy-out,
    ///   INVALID_PAGE_STATE, UNSUPPORTED
    /// - Deviates: no legacy certificates are made: with enough room the command is UNSUPPORTED
    func sevPDHCertExport(_ buffer: inout SEVCertificateExportBuffer) throws(FirmwareStatus) {
        try checkLegacyIsInitialized()
        guard buffer.reservedIsZero else { throw .invalidParam }
        let chainByteCount = 3 * Self.certificateByteCount
        let isShort = buffer.length < Self.certificateByteCount || buffer.chainLength < chainByteCount
        (buffer.length, buffer.chainLength) = (Self.certificateByteCount, chainByteCount)
        guard !isShort else { throw .invalidLength }
        try checkOutput(buffer.certificate, byteCount: Int(Self.certificateByteCount))
        try checkOutput(buffer.chain, byteCount: Int(chainByteCount))
        throw .unsupported
    }

    /// The size of a legacy certificate.
    private static let certificateByteCount: UInt32 = 0x824

    private func negotiate(_ length: inout UInt32, needed: UInt32) throws(FirmwareStatus) {
        let given = length
        length = needed
        guard given >= needed else { throw .invalidLength }
    }

    private func checkOutput(_ spa: SPA, byteCount: Int) throws(FirmwareStatus) {
        let start = try checkRange(spa, byteCount: byteCount)
        if state == .initialized { try checkWritable(start, byteCount: byteCount) }
    }
}
