// SNP_DOWNLOAD_FIRMWARE_EX: other firmware takes over, with the platform's state and its guests.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_DOWNLOAD_FIRMWARE_EX: replaces the running firmware; the platform stays INIT and its guests live on.
    ///
    /// - Spec: FWABI 56860, SNP_DOWNLOAD_FIRMWARE_EX
    /// - Throws: in check order: INVALID_PLATFORM_STATE (legacy SEV is not UNINIT), INVALID_PARAM (reserved bits),
    ///   INVALID_ADDRESS (not 32-byte aligned), then what `install` throws
    mutating func snpDownloadFirmwareEx(_ buffer: DownloadFirmwareExBuffer) throws(FirmwareStatus) {
        guard legacy.state == .uninitialized else { throw .invalidPlatformState }
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard buffer.image.rawValue & 31 == 0 else { throw .invalidAddress }
        try install(imageAt: buffer.image, byteCount: buffer.imageByteCount)
        if buffer.commits { commitCurrent() }
    }

    /// Reads, judges and starts an image.
    ///
    /// - Throws: in check order: INVALID_LENGTH (no size of an image), the rules of copy-in, BAD_SIGNATURE (no image,
    ///   or not signed), UPDATE_FAILED (another product's), BAD_VERSION (below the committed version), BAD_SVN (below
    ///   the committed security version)
    /// - Deviates: sizes, statuses and their order are unconfirmed, except that a new image may reject with UPDATE_FAILED.
    ///   Only the SNP component of the TCB changes
    mutating func install(imageAt spa: SPA, byteCount: UInt32) throws(FirmwareStatus) {
        guard FirmwareImage.sizes.contains(byteCount) else { throw .invalidLength }
        let start = try checkRange(spa, byteCount: Int(byteCount))
        guard let image = FirmwareImage(verifying: memory.bytes(start, count: Int(byteCount))) else {
            throw .badSignature
        }
        guard image.product == machine.product else { throw .updateFailed }
        guard image.version >= committedVersion else { throw .badVersion }
        guard image.securityVersion >= committedTCB.components(tcbLayout).snp else { throw .badSVN }
        version = image.version
        var levels = currentTCB.components(tcbLayout)
        levels.snp = image.securityVersion
        currentTCB = TCBVersion(levels, layout: tcbLayout)
    }
}
