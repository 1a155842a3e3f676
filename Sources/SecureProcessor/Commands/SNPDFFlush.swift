// SNP_DF_FLUSH: after WBINVD, what the caches held of retired ASIDs is gone from the data fabric too.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_DF_FLUSH: makes dirty ASIDs clean on every complex whose cores have all run WBINVD.
    ///
    /// - Spec: FWABI 56860, SNP_DF_FLUSH
    /// - Throws: WBINVD_REQUIRED if some core has not; what was flushed elsewhere stays flushed
    mutating func snpDFFlush() throws(FirmwareStatus) {
        let cores = cores.all
        var flushed: UInt64 = 0
        for index in 0..<asids.ccxCount where asids.cores(ofCCX: index).allSatisfy({ cores[$0].writtenBack }) {
            flushed |= 1 << UInt64(index)
        }
        asids.flush(flushed)
        guard flushed == asids.everywhere else { throw .wbinvdRequired }
    }
}
