// SNP_VERIFY_MITIGATION: firmware checks that known vulnerabilities are mitigated on this platform.

internal import SNPArchitecture

extension Firmware {
    /// SNP_VERIFY_MITIGATION: verifies the mitigations of a vector, or tells which are verified.
    ///
    /// - Spec: FWABI 56860, SNP_VERIFY_MITIGATION
    /// - Throws: in check order: INVALID_COMMAND (firmware without it), INVALID_PARAM (length, reserved bits, subcommand,
    ///   destination crosses a page), INVALID_PAGE_STATE (INIT and the destination neither Firmware nor Default), the
    ///   rules of copy-in for the source, INVALID_PARAM (a vector of nothing or of what firmware does not know), the
    ///   rules of copy-out
    /// - Deviates: layout, order of checks and statuses are unconfirmed; the source is not looked at, as no mitigation
    ///   here needs one. Every mitigation that firmware knows holds on the emulated platform
    mutating func snpVerifyMitigation(_ buffer: VerifyMitigationBuffer) throws(FirmwareStatus) {
        let supported = configuration.supportedMitigations
        guard buffer.length == VerifyMitigationBuffer.byteCount else { throw .invalidParam }
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard buffer.subcommand <= VerifyMitigationBuffer.verify else { throw .invalidParam }
        if buffer.destinationIsEnabled {
            guard Self.isWithinPage(buffer.destination, byteCount: MitigationStatus.byteCount) else {
                throw .invalidParam
            }
            if state == .initialized { try checkWritable(buffer.destination) }
            _ = try checkRange(buffer.destination, byteCount: MitigationStatus.byteCount)
        }
        if buffer.sourceIsEnabled { _ = try checkRange(buffer.source, byteCount: 4096) }
        if buffer.subcommand == VerifyMitigationBuffer.verify {
            guard buffer.vector != 0, buffer.vector & ~supported == 0 else { throw .invalidParam }
            verifiedMitigations |= buffer.vector
        }
        if buffer.destinationIsEnabled {
            let status = MitigationStatus(verified: verifiedMitigations, supported: supported)
            try copyOut(status.encoded, to: buffer.destination)
        }
    }
}
