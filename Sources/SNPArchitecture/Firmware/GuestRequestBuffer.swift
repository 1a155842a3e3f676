// The buffer of SNP_GUEST_REQUEST: where a guest's sealed message lies and where the answer goes.

/// The command buffer of SNP_GUEST_REQUEST.
///
/// - Spec: FWABI 56860, SNP_GUEST_REQUEST
@frozen public struct GuestRequestBuffer: CommandBuffer {
    /// SNP_GUEST_REQUEST.
    public static var command: FirmwareCommand { .snpGuestRequest }
    /// 0x18.
    public static let byteCount = 0x18
    /// The fields; the two message addresses may have any offset in their pages.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("REQUEST_PADDR", at: 0x08, byteCount: 8),
        .integer("RESPONSE_PADDR", at: 0x10, byteCount: 8),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, request: SPA, response: SPA) {
        self.init()
        self.context = context
        self.request = request
        self.response = response
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// REQUEST_PADDR: the sealed request; any offset in its page.
    public var request: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// RESPONSE_PADDR: where the sealed answer goes; any offset in a Firmware page.
    public var response: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
}
