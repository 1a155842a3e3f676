// Buffers of the legacy SEV commands that ask for a place and its size, and are told the size they need: GET_ID, PEK_CSR,
// PDH_CERT_EXPORT. And the buffer of DOWNLOAD_FIRMWARE, which has the same shape.

/// The command buffer of legacy GET_ID.
///
/// - Spec: SEV API 55766, GET_ID
@frozen public struct SEVGetIDBuffer: CommandBuffer {
    /// GET_ID.
    public static var command: FirmwareCommand { .sevGetID }
    /// 0xc.
    public static let byteCount = 0x0c
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("ID_PADDR", at: 0x00, byteCount: 8), .integer("ID_LENGTH", at: 0x08, byteCount: 4),
    ]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(address: SPA, length: UInt32) {
        self.init()
        self.address = address
        self.length = length
    }

    /// ID_PADDR: where the identifiers go, 64 bytes for each socket.
    public var address: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// ID_LENGTH: the room there; firmware writes the room it needs.
    public var length: UInt32 {
        get { bytes[0x08, as: UInt32.self] }
        set { bytes[0x08, as: UInt32.self] = newValue }
    }
}

/// The command buffer of legacy PEK_CSR.
///
/// - Spec: SEV API 55766, PEK_CSR
@frozen public struct SEVCertificateRequestBuffer: CommandBuffer {
    /// PEK_CSR.
    public static var command: FirmwareCommand { .sevPEKCSR }
    /// 0xc.
    public static let byteCount = 0x0c
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("CSR_PADDR", at: 0x00, byteCount: 8), .integer("CSR_LENGTH", at: 0x08, byteCount: 4),
    ]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(address: SPA, length: UInt32) {
        self.init()
        self.address = address
        self.length = length
    }

    /// CSR_PADDR: where the request goes.
    public var address: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// CSR_LENGTH: the room there; firmware writes the room it needs.
    public var length: UInt32 {
        get { bytes[0x08, as: UInt32.self] }
        set { bytes[0x08, as: UInt32.self] = newValue }
    }
}

/// The command buffer of legacy PDH_CERT_EXPORT.
///
/// - Spec: SEV API 55766, PDH_CERT_EXPORT
@frozen public struct SEVCertificateExportBuffer: CommandBuffer {
    /// PDH_CERT_EXPORT.
    public static var command: FirmwareCommand { .sevPDHCertExport }
    /// 0x1c.
    public static let byteCount = 0x1c
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("PDH_CERT_PADDR", at: 0x00, byteCount: 8), .integer("PDH_CERT_LENGTH", at: 0x08, byteCount: 4),
        .reserved(at: 0x0c, byteCount: 4),
        .integer("CERTS_PADDR", at: 0x10, byteCount: 8), .integer("CERTS_LENGTH", at: 0x18, byteCount: 4),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(certificate: SPA, length: UInt32, chain: SPA, chainLength: UInt32) {
        self.init()
        self.certificate = certificate
        self.length = length
        self.chain = chain
        self.chainLength = chainLength
    }

    /// PDH_CERT_PADDR: where the certificate goes.
    public var certificate: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// PDH_CERT_LENGTH: the room there; firmware writes the room it needs.
    public var length: UInt32 {
        get { bytes[0x08, as: UInt32.self] }
        set { bytes[0x08, as: UInt32.self] = newValue }
    }
    /// CERTS_PADDR: where the chain goes.
    public var chain: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// CERTS_LENGTH: the room there; firmware writes the room it needs.
    public var chainLength: UInt32 {
        get { bytes[0x18, as: UInt32.self] }
        set { bytes[0x18, as: UInt32.self] = newValue }
    }
}

/// The command buffer of legacy DOWNLOAD_FIRMWARE.
///
/// - Spec: SEV API 55766, DOWNLOAD_FIRMWARE
@frozen public struct SEVDownloadFirmwareBuffer: CommandBuffer {
    /// DOWNLOAD_FIRMWARE.
    public static var command: FirmwareCommand { .sevDownloadFirmware }
    /// 0xc.
    public static let byteCount = 0x0c
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("FW_PADDR", at: 0x00, byteCount: 8), .integer("FW_LEN", at: 0x08, byteCount: 4),
    ]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(image: SPA, imageByteCount: UInt32) {
        self.init()
        self.image = image
        self.imageByteCount = imageByteCount
    }

    /// FW_PADDR: the image.
    public var image: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// FW_LEN: the size of the image in bytes.
    public var imageByteCount: UInt32 {
        get { bytes[0x08, as: UInt32.self] }
        set { bytes[0x08, as: UInt32.self] = newValue }
    }
}
