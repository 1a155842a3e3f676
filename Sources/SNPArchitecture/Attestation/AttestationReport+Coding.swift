// Reading a report from its bytes, whoever sent them, and writing it.

extension AttestationReport {
    /// Reads a report.
    ///
    /// - Throws: in check order: `.length`, `.unknownVersion`, `.reservedBits`, `.unknownSigningKey`
    public init(decoding bytes: [UInt8]) throws(ReportFormatError) {
        guard bytes.count == Self.byteCount else { throw .length(bytes.count) }
        let rawVersion = bytes.integer(at: 0, as: UInt32.self)
        guard let version = AttestationReportVersion(rawValue: rawVersion) else { throw .unknownVersion(rawVersion) }
        if let mask = Self.reservedMasks[version] {
            for offset in bytes.indices where bytes[offset] & mask[offset] != 0 { throw .reservedBits(offset: offset) }
        }
        let keyInfo = bytes.integer(at: 0x48, as: UInt32.self)
        guard let signingKey = ReportSigningKey(rawValue: keyInfo >> 2 & 7) else {
            throw .unknownSigningKey(keyInfo >> 2 & 7)
        }
        self.init(
            version: version, policy: GuestPolicy(rawValue: bytes.integer(at: 0x08)),
            measurement: bytes.field(at: 0x90, byteCount: 48))
        self.signingKey = signingKey
        authorKeyEnabled = keyInfo.hasBit(0)
        chipKeyMasked = keyInfo.hasBit(1)
        readGuest(bytes)
        readPlatform(bytes)
        signature = FirmwareSignature(decoding: bytes.field(at: 0x2a0, byteCount: FirmwareSignature.byteCount))
    }

    private mutating func readGuest(_ bytes: [UInt8]) {
        guestSVN = bytes.integer(at: 0x04)
        familyID = bytes.field(at: 0x10, byteCount: 16)
        imageID = bytes.field(at: 0x20, byteCount: 16)
        vmpl = bytes.integer(at: 0x30)
        signatureAlgorithm = bytes.integer(at: 0x34)
        reportData = bytes.field(at: 0x50, byteCount: 64)
        hostData = bytes.field(at: 0xc0, byteCount: 32)
        idKeyDigest = bytes.field(at: 0xe0, byteCount: 48)
        authorKeyDigest = bytes.field(at: 0x110, byteCount: 48)
        reportID = bytes.field(at: 0x140, byteCount: 32)
        reportIDMA = bytes.field(at: 0x160, byteCount: 32)
    }

    private mutating func readPlatform(_ bytes: [UInt8]) {
        currentTCB = TCBVersion(rawValue: bytes.integer(at: 0x38))
        platformInfo = ReportPlatformInfo(rawValue: bytes.integer(at: 0x40))
        reportedTCB = TCBVersion(rawValue: bytes.integer(at: 0x180))
        if version.hasProcessor {
            processor = ReportedProcessor(family: bytes[0x188], model: bytes[0x189], stepping: bytes[0x18a])
        }
        chipID = bytes.field(at: 0x1a0, byteCount: 64)
        committedTCB = TCBVersion(rawValue: bytes.integer(at: 0x1e0))
        currentFirmware = ReportedFirmwareVersion(build: bytes[0x1e8], minor: bytes[0x1e9], major: bytes[0x1ea])
        committedFirmware = ReportedFirmwareVersion(build: bytes[0x1ec], minor: bytes[0x1ed], major: bytes[0x1ee])
        launchTCB = TCBVersion(rawValue: bytes.integer(at: 0x1f0))
        if version.hasMitigationVectors {
            launchMitigations = bytes.integer(at: 0x1f8)
            currentMitigations = bytes.integer(at: 0x200)
        }
    }

    /// The report's bytes. Fields that its version does not have are left out.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(version.rawValue, at: 0x00)
        bytes.store(guestSVN, at: 0x04)
        bytes.store(policy.rawValue, at: 0x08)
        bytes.store(familyID, at: 0x10, limit: 16)
        bytes.store(imageID, at: 0x20, limit: 16)
        bytes.store(vmpl, at: 0x30)
        bytes.store(signatureAlgorithm, at: 0x34)
        bytes.store(currentTCB.rawValue, at: 0x38)
        bytes.store(platformInfo.rawValue, at: 0x40)
        bytes.store((authorKeyEnabled ? 1 : 0) | (chipKeyMasked ? 2 : 0) | signingKey.rawValue << 2, at: 0x48)
        bytes.store(reportData, at: 0x50, limit: 64)
        bytes.store(measurement, at: 0x90, limit: 48)
        bytes.store(hostData, at: 0xc0, limit: 32)
        bytes.store(idKeyDigest, at: 0xe0, limit: 48)
        bytes.store(authorKeyDigest, at: 0x110, limit: 48)
        bytes.store(reportID, at: 0x140, limit: 32)
        bytes.store(reportIDMA, at: 0x160, limit: 32)
        bytes.store(reportedTCB.rawValue, at: 0x180)
        if version.hasProcessor, let processor {
            bytes.store([processor.family, processor.model, processor.stepping], at: 0x188, limit: 3)
        }
        bytes.store(chipID, at: 0x1a0, limit: 64)
        bytes.store(committedTCB.rawValue, at: 0x1e0)
        bytes.store([currentFirmware.build, currentFirmware.minor, currentFirmware.major], at: 0x1e8, limit: 3)
        bytes.store([committedFirmware.build, committedFirmware.minor, committedFirmware.major], at: 0x1ec, limit: 3)
        bytes.store(launchTCB.rawValue, at: 0x1f0)
        if version.hasMitigationVectors {
            bytes.store(launchMitigations ?? 0, at: 0x1f8)
            bytes.store(currentMitigations ?? 0, at: 0x200)
        }
        bytes.store(signature.encoded, at: 0x2a0, limit: FirmwareSignature.byteCount)
        return bytes
    }
}
