// The secrets page that firmware gives to a guest at launch.

/// The secrets page, version 3.
///
/// - Spec: FWABI 56860, secrets page
/// - Deviates: versions 4 and later (launch mitigation vector) are not modelled
public struct SecretsPage: FirmwareLayout, Hashable, Sendable {
    /// One page.
    public static let byteCount = 0x1000
    /// The fields; the areas of the guest's operating system and SVSM are zero at launch and then the guest's own.
    public static let fields: [LayoutField] = [
        .integer("VERSION", at: 0x000, byteCount: 4),
        .integer("FLAGS", at: 0x004, byteCount: 4, reserved: 0xffff_fffe),
        .integer("FMS", at: 0x008, byteCount: 4),
        .reserved(at: 0x00c, byteCount: 4),
        .bytes("GOSVW", at: 0x010, byteCount: 16),
        .bytes("VMPCK0", at: 0x020, byteCount: 32),
        .bytes("VMPCK1", at: 0x040, byteCount: 32),
        .bytes("VMPCK2", at: 0x060, byteCount: 32),
        .bytes("VMPCK3", at: 0x080, byteCount: 32),
        .bytes("GUEST_OS_AREA", at: 0x0a0, byteCount: 0x60),
        .bytes("VMSA_TWEAK_BITMAP", at: 0x100, byteCount: 64),
        .bytes("SVSM_AREA", at: 0x140, byteCount: 32),
        .integer("TSC_FACTOR", at: 0x160, byteCount: 4),
        .reserved(at: 0x164, byteCount: 0xe9c),
    ]
    /// VERSION: 3.
    public var version: UInt32
    /// IMI_EN, bit 0 of the flags.
    public var initialMigrationImage: Bool
    /// FMS: family, model and stepping, as CPUID leaf 1 gives them in EAX.
    public var fms: UInt32
    /// GOSVW, 16 bytes.
    public var gosvw: [UInt8]
    /// VMPCK0 to VMPCK3, 32 bytes each: the keys of the guest's messages to firmware.
    public var vmpck: [[UInt8]]
    /// The guest operating system's own area, 0x60 bytes.
    public var guestArea: [UInt8]
    /// VMSA_TWEAK_BITMAP, 64 bytes: which quadwords of a VMSA register protection covers.
    public var vmsaTweakBitmap: [UInt8]
    /// The SVSM's own area, 32 bytes.
    public var svsmArea: [UInt8]
    /// TSC_FACTOR: by how much the mean TSC frequency may be off, in 1/100000.
    public var tscFactor: UInt32

    /// Makes a page of version 3.
    public init(
        initialMigrationImage: Bool, fms: UInt32, gosvw: [UInt8], vmpck: [[UInt8]], vmsaTweakBitmap: [UInt8],
        tscFactor: UInt32
    ) {
        version = 3
        self.initialMigrationImage = initialMigrationImage
        self.fms = fms
        self.gosvw = gosvw
        self.vmpck = vmpck
        guestArea = [UInt8](repeating: 0, count: 0x60)
        self.vmsaTweakBitmap = vmsaTweakBitmap
        svsmArea = [UInt8](repeating: 0, count: 32)
        self.tscFactor = tscFactor
    }
    /// Reads a page.
    public init(decoding bytes: [UInt8]) {
        version = bytes.integer(at: 0)
        initialMigrationImage = bytes[4] & 1 != 0
        fms = bytes.integer(at: 8)
        gosvw = bytes.field(at: 0x10, byteCount: 16)
        vmpck = (0..<4).map { bytes.field(at: 0x20 + $0 * 32, byteCount: 32) }
        guestArea = bytes.field(at: 0xa0, byteCount: 0x60)
        vmsaTweakBitmap = bytes.field(at: 0x100, byteCount: 64)
        svsmArea = bytes.field(at: 0x140, byteCount: 32)
        tscFactor = bytes.integer(at: 0x160)
    }
    /// The page's bytes.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(version, at: 0)
        bytes[4] = initialMigrationImage ? 1 : 0
        bytes.store(fms, at: 8)
        bytes.store(gosvw, at: 0x10, limit: 16)
        for (index, key) in vmpck.prefix(4).enumerated() { bytes.store(key, at: 0x20 + index * 32, limit: 32) }
        bytes.store(guestArea, at: 0xa0, limit: 0x60)
        bytes.store(vmsaTweakBitmap, at: 0x100, limit: 64)
        bytes.store(svsmArea, at: 0x140, limit: 32)
        bytes.store(tscFactor, at: 0x160)
        return bytes
    }
}
