// The CPUID page: the table of CPUID results that firmware checks and the guest trusts.

/// One CPUID function: its inputs and its results.
///
/// - Spec: FWABI 56860, CPUID_FUNCTION
@frozen public struct CPUIDFunction: Hashable, Sendable {
    /// EAX_IN: the leaf.
    public var eaxIn: UInt32
    /// ECX_IN: the subleaf.
    public var ecxIn: UInt32
    /// XCR0_IN.
    public var xcr0In: UInt64
    /// XSS_IN.
    public var xssIn: UInt64
    /// EAX.
    public var eax: UInt32
    /// EBX.
    public var ebx: UInt32
    /// ECX.
    public var ecx: UInt32
    /// EDX.
    public var edx: UInt32
    /// The last eight bytes: must be zero.
    public var reserved: UInt64

    /// Makes an entry.
    @inlinable public init(
        eaxIn: UInt32, ecxIn: UInt32 = 0, xcr0In: UInt64 = 0, xssIn: UInt64 = 0, eax: UInt32 = 0, ebx: UInt32 = 0,
        ecx: UInt32 = 0, edx: UInt32 = 0, reserved: UInt64 = 0
    ) {
        self.eaxIn = eaxIn
        self.ecxIn = ecxIn
        self.xcr0In = xcr0In
        self.xssIn = xssIn
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
        self.reserved = reserved
    }
}

extension CPUIDFunction: FirmwareLayout {
    /// 0x30.
    public static let byteCount = 0x30
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("EAX_IN", at: 0x00, byteCount: 4),
        .integer("ECX_IN", at: 0x04, byteCount: 4),
        .integer("XCR0_IN", at: 0x08, byteCount: 8),
        .integer("XSS_IN", at: 0x10, byteCount: 8),
        .integer("EAX", at: 0x18, byteCount: 4),
        .integer("EBX", at: 0x1c, byteCount: 4),
        .integer("ECX", at: 0x20, byteCount: 4),
        .integer("EDX", at: 0x24, byteCount: 4),
        .reserved(at: 0x28, byteCount: 8),
    ]
    /// Reads an entry.
    public init(decoding bytes: [UInt8]) {
        self.init(
            eaxIn: bytes.integer(at: 0), ecxIn: bytes.integer(at: 4), xcr0In: bytes.integer(at: 8),
            xssIn: bytes.integer(at: 0x10), eax: bytes.integer(at: 0x18), ebx: bytes.integer(at: 0x1c),
            ecx: bytes.integer(at: 0x20), edx: bytes.integer(at: 0x24), reserved: bytes.integer(at: 0x28))
    }
    /// The entry's bytes.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(eaxIn, at: 0)
        bytes.store(ecxIn, at: 4)
        bytes.store(xcr0In, at: 8)
        bytes.store(xssIn, at: 0x10)
        bytes.store(eax, at: 0x18)
        bytes.store(ebx, at: 0x1c)
        bytes.store(ecx, at: 0x20)
        bytes.store(edx, at: 0x24)
        bytes.store(reserved, at: 0x28)
        return bytes
    }
}

/// The page: a header of 16 bytes, then up to 64 entries of 0x30 bytes. What follows the last entry is kept as it is.
///
/// - Spec: FWABI 56860, PAGE_TYPE_CPUID
public struct CPUIDPage: FirmwareLayout, Hashable, Sendable {
    /// The most entries that a page may have.
    public static let maximumCount = 64
    /// One page.
    public static let byteCount = 0x1000
    /// The header and the place of the entries.
    public static let fields: [LayoutField] = [
        .integer("COUNT", at: 0x00, byteCount: 4),
        .reserved(at: 0x04, byteCount: 12),
        .bytes("CPUID_FUNCTION", at: 0x10, byteCount: 0xc00),
        .unused(at: 0xc10, byteCount: 0x3f0),
    ]
    /// COUNT as written, which may be more than a page may have.
    public var count: UInt32
    /// The second four bytes: must be zero.
    public var reserved04: UInt32
    /// The third and fourth four bytes: must be zero.
    public var reserved08: UInt64
    /// The entries: COUNT of them, at most 64.
    public var functions: [CPUIDFunction]

    /// Makes a page of at most 64 entries.
    public init(_ functions: [CPUIDFunction]) {
        count = UInt32(functions.count)
        reserved04 = 0
        reserved08 = 0
        self.functions = functions
    }

    /// Reads a page.
    public init(decoding bytes: [UInt8]) {
        count = bytes.integer(at: 0)
        reserved04 = bytes.integer(at: 4)
        reserved08 = bytes.integer(at: 8)
        functions = (0..<min(Int(count), Self.maximumCount)).map {
            CPUIDFunction(decoding: bytes.field(at: 0x10 + $0 * CPUIDFunction.byteCount, byteCount: 0x30))
        }
    }

    /// The page's bytes.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(count, at: 0)
        bytes.store(reserved04, at: 4)
        bytes.store(reserved08, at: 8)
        for (index, function) in functions.prefix(Self.maximumCount).enumerated() {
            bytes.store(function.encoded, at: 0x10 + index * CPUIDFunction.byteCount, limit: CPUIDFunction.byteCount)
        }
        return bytes
    }
}
