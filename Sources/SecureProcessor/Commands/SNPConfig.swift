// SNP_CONFIG: what reports show and hide.

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
}
