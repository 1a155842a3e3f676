// SNP_PLATFORM_STATUS: the state of the platform.

internal import SNPArchitecture

extension Firmware {
    /// SNP_PLATFORM_STATUS: writes 32 bytes of status.
    ///
    /// - Spec: FWABI 56860, SNP_PLATFORM_STATUS
    /// - Throws: in check order: INVALID_PARAM (crosses a page), INVALID_PAGE_STATE (INIT and neither Firmware nor
    ///   Default), the address rules of copy-out
    mutating func snpPlatformStatus(_ buffer: PlatformStatusBuffer) throws(FirmwareStatus) {
        guard Self.isWithinPage(buffer.status, byteCount: PlatformStatus.byteCount) else { throw .invalidParam }
        if state == .initialized { try checkWritable(buffer.status) }
        try copyOut(platformStatus.encoded, to: buffer.status)
    }

    /// What the command reports.
    var platformStatus: PlatformStatus {
        var features: PlatformStatus.Features = [.featureInfo]
        if maskChipID { features.insert(.maskChipID) }
        if maskChipKey { features.insert(.maskChipKey) }
        if vlek != nil { features.insert(.vlekEnabled) }
        if options.raplIsDisabled { features.insert(.raplDisabled) }
        if self.features.contains(.ciphertextHiding) { features.insert(.ciphertextHidingCapable) }
        if options.ciphertextIsHidden { features.insert(.ciphertextHidingEnabled) }
        var rmpFlags: PlatformStatus.RMPFlags = rmpTCB != nil ? [.rmpIsInitialized] : []
        if aliasCheckIsComplete { rmpFlags.insert(.aliasCheckComplete) }
        return PlatformStatus(
            apiMajor: version.major, apiMinor: version.minor, state: state,
            rmpFlags: rmpFlags, build: UInt32(version.build),
            features: features, guestCount: guestCount, currentTCB: currentTCB, reportedTCB: reportedTCB)
    }
}
