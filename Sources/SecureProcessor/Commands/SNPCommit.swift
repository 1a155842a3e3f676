// SNP_COMMIT: no way back to older firmware.

internal import SNPArchitecture

extension Firmware {
    /// SNP_COMMIT: makes what runs the least that may ever run again.
    ///
    /// - Spec: FWABI 56860, SNP_COMMIT
    /// - Throws: INVALID_PARAM (length)
    mutating func snpCommit(_ buffer: CommitBuffer) throws(FirmwareStatus) {
        guard buffer.length == CommitBuffer.byteCount else { throw .invalidParam }
        commitCurrent()
    }

    /// Commits what runs. What SNP_CONFIG set is dropped.
    mutating func commitCurrent() {
        committedTCB = currentTCB
        committedVersion = version
        configuredTCB = nil
    }
}
