// SNP_FEATURE_INFO: what this firmware can do.

internal import SNPArchitecture

extension Firmware {
    /// SNP_FEATURE_INFO: what this firmware can do, four words at a time.
    ///
    /// - Spec: FWABI 56860, SNP_FEATURE_INFO
    /// - Throws: in check order: INVALID_PARAM (length), INVALID_ADDRESS (not 4-byte aligned, crosses a page),
    ///   INVALID_PAGE_STATE (INIT and neither Firmware nor Default), INVALID_PARAM (ECX_IN), the rules of copy-out
    mutating func snpFeatureInfo(_ buffer: FeatureInfoBuffer) throws(FirmwareStatus) {
        guard buffer.length == FeatureInfoBuffer.byteCount else { throw .invalidParam }
        guard buffer.output.rawValue & 3 == 0 else { throw .invalidAddress }
        guard Self.isWithinPage(buffer.output, byteCount: 16) else { throw .invalidAddress }
        if state == .initialized { try checkWritable(buffer.output) }
        guard buffer.subleaf <= 1 else { throw .invalidParam }
        try copyOut(featureInfo(buffer.subleaf).encoded, to: buffer.output)
    }

    /// The words of a sub-leaf.
    private func featureInfo(_ subleaf: UInt32) -> FeatureInfo {
        var info = FeatureInfo()
        if subleaf == 0 {
            info.eax = 1
            info.ebx = 1
            info.ecx = features.rawValue
        } else {
            for row in GuestMessages.rows { info.eax |= 1 << UInt32(row.type.rawValue / 2) }
        }
        return info
    }
}
