// MSG_REPORT_REQ and MSG_REPORT_RSP as the guest writes and reads them.

internal import SNPArchitecture

/// KEY_SEL: which key a guest wants its report signed with.
public enum ReportKeySelection: UInt32, CaseIterable, Sendable {
    /// The VLEK if one is loaded, else the VCEK.
    case vlekOrVCEK = 0
    /// The VCEK.
    case vcek = 1
    /// The VLEK.
    case vlek = 2
}

/// A request for an attestation report.
///
/// - Spec: FWABI 56860, MSG_REPORT_REQ
public struct ReportRequestMessage: Hashable, Sendable {
    /// 0x60.
    public static let byteCount = 0x60
    /// REPORT_DATA, up to 64 bytes; zeros follow.
    public var reportData: [UInt8]
    /// The VMPL that the report is to name. Not below the number of the VMPCK that seals the request.
    public var vmpl: UInt32
    /// KEY_SEL.
    public var keySelection: ReportKeySelection

    /// Makes a request.
    public init(reportData: [UInt8] = [], vmpl: UInt32 = 0, keySelection: ReportKeySelection = .vlekOrVCEK) {
        self.reportData = reportData
        self.vmpl = vmpl
        self.keySelection = keySelection
    }

    /// The payload.
    public var encoded: [UInt8] {
        let data = Array(reportData.prefix(64))
        let words = [vmpl, keySelection.rawValue].flatMap { word in
            (0..<4 as Range<UInt32>).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        let used = data + [UInt8](repeating: 0, count: 64 - data.count) + words
        return used + [UInt8](repeating: 0, count: Self.byteCount - used.count)
    }
}

/// The answer to a request for a report.
///
/// - Spec: FWABI 56860, MSG_REPORT_RSP
public struct ReportResponseMessage: Hashable, Sendable {
    /// The report's bytes. The guest cannot judge them.
    public var report: [UInt8]

    /// Reads a payload.
    ///
    /// - Throws: in check order: `.payload` (no room for the status), `.refused`, `.payload` (size)
    public init(decoding payload: [UInt8]) throws(GuestMessageError) {
        func word(_ offset: Int) -> UInt32 {
            payload[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        let type = GuestMessageType.reportRequest.response
        guard payload.count >= 0x20 else { throw .payload(type) }
        let status = FirmwareStatus(rawValue: UInt16(truncatingIfNeeded: word(0)))
        guard status == .success else { throw .refused(status) }
        guard word(4) == AttestationReport.byteCount, payload.count >= 0x20 + AttestationReport.byteCount else {
            throw .payload(type)
        }
        report = Array(payload[0x20..<0x20 + AttestationReport.byteCount])
    }
}
