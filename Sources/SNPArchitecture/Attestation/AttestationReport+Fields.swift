// The table of the report's fields, version by version.

extension AttestationReport {
    /// Every byte of a report of a version, in order of offset, without overlap.
    public static func fields(_ version: AttestationReportVersion) -> [LayoutField] {
        head + processor(version) + middle + mitigations(version) + tail
    }

    private static let head: [LayoutField] = [
        .integer("VERSION", at: 0x000, byteCount: 4),
        .integer("GUEST_SVN", at: 0x004, byteCount: 4),
        .integer("POLICY", at: 0x008, byteCount: 8),
        .bytes("FAMILY_ID", at: 0x010, byteCount: 16),
        .bytes("IMAGE_ID", at: 0x020, byteCount: 16),
        .integer("VMPL", at: 0x030, byteCount: 4),
        .integer("SIGNATURE_ALGO", at: 0x034, byteCount: 4),
        .integer("CURRENT_TCB", at: 0x038, byteCount: 8),
        .integer("PLATFORM_INFO", at: 0x040, byteCount: 8),
        .integer("KEY_INFO", at: 0x048, byteCount: 4, reserved: 0xffff_ffe0),
        .reserved(at: 0x04c, byteCount: 4),
        .bytes("REPORT_DATA", at: 0x050, byteCount: 64),
        .bytes("MEASUREMENT", at: 0x090, byteCount: 48),
        .bytes("HOST_DATA", at: 0x0c0, byteCount: 32),
        .bytes("ID_KEY_DIGEST", at: 0x0e0, byteCount: 48),
        .bytes("AUTHOR_KEY_DIGEST", at: 0x110, byteCount: 48),
        .bytes("REPORT_ID", at: 0x140, byteCount: 32),
        .bytes("REPORT_ID_MA", at: 0x160, byteCount: 32),
        .integer("REPORTED_TCB", at: 0x180, byteCount: 8),
    ]

    private static func processor(_ version: AttestationReportVersion) -> [LayoutField] {
        guard version.hasProcessor else { return [.reserved(at: 0x188, byteCount: 24)] }
        return [
            .integer("CPUID_FAM_ID", at: 0x188, byteCount: 1),
            .integer("CPUID_MOD_ID", at: 0x189, byteCount: 1),
            .integer("CPUID_STEP", at: 0x18a, byteCount: 1),
            .reserved(at: 0x18b, byteCount: 21),
        ]
    }

    private static let middle: [LayoutField] = [
        .bytes("CHIP_ID", at: 0x1a0, byteCount: 64),
        .integer("COMMITTED_TCB", at: 0x1e0, byteCount: 8),
        .integer("CURRENT_BUILD", at: 0x1e8, byteCount: 1),
        .integer("CURRENT_MINOR", at: 0x1e9, byteCount: 1),
        .integer("CURRENT_MAJOR", at: 0x1ea, byteCount: 1),
        .reserved(at: 0x1eb, byteCount: 1),
        .integer("COMMITTED_BUILD", at: 0x1ec, byteCount: 1),
        .integer("COMMITTED_MINOR", at: 0x1ed, byteCount: 1),
        .integer("COMMITTED_MAJOR", at: 0x1ee, byteCount: 1),
        .reserved(at: 0x1ef, byteCount: 1),
        .integer("LAUNCH_TCB", at: 0x1f0, byteCount: 8),
    ]

    private static func mitigations(_ version: AttestationReportVersion) -> [LayoutField] {
        guard version.hasMitigationVectors else { return [.reserved(at: 0x1f8, byteCount: 0xa8)] }
        return [
            .integer("LAUNCH_MIT_VECTOR", at: 0x1f8, byteCount: 8),
            .integer("CURRENT_MIT_VECTOR", at: 0x200, byteCount: 8),
            .reserved(at: 0x208, byteCount: 0x98),
        ]
    }

    private static let tail: [LayoutField] = [
        .bytes("SIGNATURE_R", at: 0x2a0, byteCount: 72),
        .bytes("SIGNATURE_S", at: 0x2e8, byteCount: 72),
        .reserved(at: 0x330, byteCount: 0x170),
    ]

    /// The bits that must be zero, byte by byte, of each version.
    static let reservedMasks: [AttestationReportVersion: [UInt8]] = Dictionary(
        uniqueKeysWithValues: AttestationReportVersion.allCases.map { version in
            var mask = [UInt8](repeating: 0, count: byteCount)
            for field in fields(version) {
                for index in field.offset..<(field.offset + field.byteCount) {
                    mask[index] |= field.reservedBits(ofByte: index)
                }
            }
            return (version, mask)
        })
}
