// A request for an attestation report as a step gives it.

public import SNPArchitecture

/// What a guest asks firmware to attest, and through which pages.
public struct ReportStep: Hashable, Sendable {
    /// The secrets page, private, from which the channel's key comes.
    public var secrets: GPA
    /// The shared page for the request.
    public var request: GPA
    /// The shared page for the answer.
    public var response: GPA
    /// Which of the guest's keys seals the messages, 0 to 3.
    public var vmpck: UInt8 = 0
    /// The VMPL that the report is to name.
    public var vmpl: UInt32 = 0
    /// REPORT_DATA, up to 64 bytes.
    public var data: [UInt8] = []

    /// Makes a request for a report of VMPL0 with the key of VMPL0.
    public init(secrets: GPA, request: GPA, response: GPA) {
        self.secrets = secrets
        self.request = request
        self.response = response
    }
}
