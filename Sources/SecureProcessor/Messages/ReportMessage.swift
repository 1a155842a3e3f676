// MSG_REPORT_REQ: a signed statement of what the guest is and where it runs.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// Makes and signs an attestation report.
    ///
    /// - Spec: FWABI 56860, MSG_REPORT_REQ, MSG_REPORT_RSP
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_KEY (KEY_SEL), INVALID_PARAM (VMPL below the
    ///   VMPCK's)
    mutating func answerReport(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = message.prefix(0x60)
        let vmpl: UInt32 = request.integer(at: 0x40)
        let flags: UInt32 = request.integer(at: 0x44)
        guard let guest = guests[message.context] else { throw .invalidGuest }
        guard flags & ~3 == 0, request[0x48...].allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        let selection = try keySelection(flags & 3, for: guest)
        guard vmpl >= UInt32(message.vmpck) else { throw .invalidParam }
        let signer = signer(selection)
        var report = reportBody(guest, vmpl: vmpl, data: Array(request[..<64]), signer: signer?.kind)
        if let signer { report += signer.sign(report).encoded } else { report += [UInt8](repeating: 0, count: 0x200) }
        var response = [UInt8](repeating: 0, count: 0x20)
        response.store(UInt32(report.count), at: 4)
        return response + report
    }

    /// The report without its signature: 0x2a0 bytes.
    ///
    /// - Spec: FWABI 56860, ATTESTATION_REPORT
    /// - Deviates: the machine has neither TSME nor ECC, and PLATFORM_INFO says so. What the mitigation vectors hold is
    ///   unconfirmed: what SNP_VERIFY_MITIGATION has verified, now and when the context was made
    func reportBody(
        _ guest: GuestRecord, vmpl: UInt32, data: [UInt8], signer: EndorsementKey.Kind?
    ) -> [UInt8] {
        let version = configuration.reportVersion ?? ReportVersion(self.version)
        var bytes = [UInt8](repeating: 0, count: 0x2a0)
        bytes.store(version.rawValue, at: 0x000)
        bytes.store(guest.idBlock?.guestSVN ?? 0, at: 0x004)
        bytes.store(guest.policy.rawValue, at: 0x008)
        bytes.store(guest.idBlock?.familyID ?? [], at: 0x010, limit: 16)
        bytes.store(guest.idBlock?.imageID ?? [], at: 0x020, limit: 16)
        bytes.store(vmpl, at: 0x030)
        bytes.store(IDAuthentication.ecdsaP384, at: 0x034)
        bytes.store(liveTCB.rawValue, at: 0x038)
        bytes.store(platformInfo, at: 0x040)
        let signingKey = signer?.rawValue ?? 7
        bytes.store((guest.authorKeyIsEnabled ? 1 : 0) | (maskChipKey ? 2 : 0) | signingKey << 2, at: 0x048)
        bytes.store(data, at: 0x050, limit: 64)
        bytes.store(guest.launchDigest.bytes, at: 0x090, limit: 48)
        bytes.store(guest.hostData, at: 0x0c0, limit: 32)
        bytes.store(guest.idKeyDigest, at: 0x0e0, limit: 48)
        bytes.store(guest.authorKeyDigest, at: 0x110, limit: 48)
        bytes.store(guest.reportID, at: 0x140, limit: 32)
        bytes.store(guest.migrationAgentReportID, at: 0x160, limit: 32)
        bytes.store(reportedTCB.rawValue, at: 0x180)
        if version != .version2 { bytes.store(processor, at: 0x188, limit: 3) }
        if !maskChipID { bytes.store(chip.identifier, at: 0x1a0, limit: 64) }
        bytes.store(committedTCB.rawValue, at: 0x1e0)
        bytes.store(Self.bytes(of: self.version), at: 0x1e8, limit: 3)
        bytes.store(Self.bytes(of: committedVersion), at: 0x1ec, limit: 3)
        bytes.store(guest.launchTCB.rawValue, at: 0x1f0)
        if version == .version5 {
            bytes.store(guest.launchMitigations, at: 0x1f8)
            bytes.store(verifiedMitigations, at: 0x200)
        }
        return bytes
    }

    /// PLATFORM_INFO.
    private var platformInfo: UInt64 {
        var info: UInt64 = 0
        if configuration.smtIsEnabled { info |= 1 << 0 }
        if options.raplIsDisabled { info |= 1 << 3 }
        if options.ciphertextIsHidden { info |= 1 << 4 }
        if aliasCheckIsComplete { info |= 1 << 5 }
        return info
    }

    /// The committed TCB with the SNP level and the microcode level that run.
    private var liveTCB: TCBVersion {
        var parts = committedTCB.components(tcbLayout)
        let current = currentTCB.components(tcbLayout)
        parts.snp = current.snp
        parts.microcode = current.microcode
        return TCBVersion(parts, layout: tcbLayout)
    }

    /// Family, model and stepping of the processor, a byte each.
    private var processor: [UInt8] {
        let signature = machine.product.signature
        let family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff)
        let model = (signature >> 12 & 0xf0) | (signature >> 4 & 0xf)
        return [UInt8(truncatingIfNeeded: family), UInt8(truncatingIfNeeded: model), UInt8(signature & 0xf)]
    }

    private static func bytes(of version: FirmwareVersion) -> [UInt8] { [version.build, version.minor, version.major] }
}
