// SNP_CONFIG, SNP_COMMIT and SNP_FEATURE_INFO: properties of the platform.

internal import SNPArchitecture

extension Firmware {
    /// SNP_CONFIG: sets the TCB that reports show and what they hide.
    ///
    /// - Spec: FWABI 56860, SNP_CONFIG
    /// - Throws: in check order: INVALID_PARAM (reserved bits, TCB greater than the committed one as one number)
    mutating func snpConfig(_ buffer: ConfigBuffer) throws(FirmwareStatus) {
        let wanted = buffer.reportedTCB
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard wanted.comparisonNumber(tcbLayout) <= committedTCB.comparisonNumber(tcbLayout) else {
            throw .invalidParam
        }
        configuredTCB = wanted.rawValue == 0 ? nil : wanted
        maskChipID = buffer.maskChipID
        maskChipKey = buffer.maskChipKey
    }

    /// SNP_COMMIT: makes what runs the least that may ever run again.
    ///
    /// - Spec: FWABI 56860, SNP_COMMIT
    /// - Throws: INVALID_PARAM (length)
    mutating func snpCommit(_ buffer: CommitBuffer) throws(FirmwareStatus) {
        guard buffer.length == CommitBuffer.byteCount else { throw .invalidParam }
        committedTCB = currentTCB
        committedVersion = configuration.version
        configuredTCB = nil
    }

    /// SNP_FEATURE_INFO: what this firmware can do, four words at a time.
    ///
    /// - Spec: FWABI 56860, SNP_FEATURE_INFO
    /// - Throws: in check order: INVALID_PARAM (length), INVALID_ADDRESS (not 4-byte aligned, crosses a page),
    ///   INVALID_PAGE_STATE (INIT and neither Firmware nor Default), INVALID_PARAM (ECX_IN), the rules of copy-out
    /// - Deviates: it reports what is implemented here: no legacy commands
    mutating func snpFeatureInfo(_ buffer: FeatureInfoBuffer) throws(FirmwareStatus) {
        guard buffer.length == FeatureInfoBuffer.byteCount else { throw .invalidParam }
        guard buffer.output.rawValue & 3 == 0 else { throw .invalidAddress }
        guard Self.isWithinPage(buffer.output, byteCount: 16) else { throw .invalidAddress }
        if state == .initialized { try checkWritable(buffer.output) }
        guard buffer.subleaf <= 1 else { throw .invalidParam }
        var words: [UInt32] = [0, 0, 0, 0]
        if buffer.subleaf == 0 {
            words[0] = 1
            if CommandTable.row(for: .snpVLEKLoad)?.run != nil { words[2] |= 1 << 0 }
            if configuration.supportsX86Shutdown { words[2] |= 1 << 1 }
        } else {
            for row in GuestMessages.rows { words[0] |= 1 << UInt32(row.type.rawValue / 2) }
        }
        var bytes = [UInt8](repeating: 0, count: 16)
        for (index, word) in words.enumerated() { bytes.store(word, at: index * 4) }
        try copyOut(bytes, to: buffer.output)
    }
}
