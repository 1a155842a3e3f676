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
        return PlatformStatus(
            apiMajor: configuration.version.major, apiMinor: configuration.version.minor, state: state,
            rmpFlags: rmpTCB != nil ? [.rmpIsInitialized] : [], build: UInt32(configuration.version.build),
            features: features, guestCount: guestCount, currentTCB: currentTCB, reportedTCB: reportedTCB)
    }
}
