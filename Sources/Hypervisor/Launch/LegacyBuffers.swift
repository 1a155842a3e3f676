// Which legacy commands write where: what the host has to give firmware, once SNP is on, before it may write.

internal import SNPArchitecture

/// Where firmware writes when it runs a legacy command.
struct LegacyBuffers: Sendable {
    /// A place that the command's buffer names: where its address and its length stand.
    struct Output: Hashable, Sendable {
        var address: Int
        var length: Int
    }
    /// Firmware writes to the buffer itself.
    var writesBuffer: Bool
    /// What the buffer names, except guest memory: that is firmware's or the guest's already.
    var outputs: [Output] = []

    /// The rule of a command; nil for one that writes nothing.
    ///
    /// - Spec: SEV API 55766; patch 25 of the series; Linux: `snp_map_cmd_buf_desc_list()`, `sev_cmd_buffer_len()`
    /// - Deviates: SEND_START, whose buffer is longer than 64 bytes, is not sent by this driver
    static func of(_ command: FirmwareCommand) -> LegacyBuffers? {
        switch command {
        case .sevPlatformStatus, .sevGuestStatus, .sevLaunchStart, .sevReceiveStart: Self(writesBuffer: true)
        case .sevPEKCSR, .sevGetID: Self(writesBuffer: true, outputs: [Output(address: 0x00, length: 0x08)])
        case .sevPDHCertExport:
            Self(
                writesBuffer: true, outputs: [Output(address: 0x00, length: 0x08), Output(address: 0x10, length: 0x18)])
        case .sevLaunchMeasure: Self(writesBuffer: true, outputs: [Output(address: 0x08, length: 0x10)])
        case .sevSendUpdateData, .sevSendUpdateVMSA:
            Self(
                writesBuffer: true, outputs: [Output(address: 0x08, length: 0x10), Output(address: 0x28, length: 0x30)])
        case .sevAttestation: Self(writesBuffer: true, outputs: [Output(address: 0x08, length: 0x20)])
        default: nil
        }
    }
}

extension FirmwareCommand {
    /// Legacy ATTESTATION.
    static var sevAttestation: Self { Self(rawValue: 0x36) }
}
