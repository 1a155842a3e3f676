// The list of page ranges that SNP_INIT_EX and SNP_PAGE_SET_STATE read from one page.

/// A range of 4 KiB pages.
@frozen public struct PageRange: Hashable, Sendable {
    /// The first byte.
    public var base: SPA
    /// How many 4 KiB pages.
    public var pageCount: UInt32
    /// The last four bytes of the element: must be zero.
    public var reserved: UInt32
    /// Makes a range.
    @inlinable public init(base: SPA, pageCount: UInt32, reserved: UInt32 = 0) {
        self.base = base
        self.pageCount = pageCount
        self.reserved = reserved
    }
}

/// A range list: a count, then that many elements of 16 bytes, all within one 4 KiB page.
///
/// - Spec: FWABI 56860, RANGE_LIST
public struct RangeList: FirmwareLayout, Hashable, Sendable {
    /// The most elements that fit in a page.
    public static let maximumCount = 255
    /// The size of the header and of each element.
    public static let elementByteCount = 16
    /// One page.
    public static let byteCount = 0x1000
    /// The header and, by their place, the elements.
    public static let fields: [LayoutField] = [
        .integer("NUM_ELEMENTS", at: 0x00, byteCount: 4),
        .reserved(at: 0x04, byteCount: 4),
        .bytes("RANGES", at: 0x08, byteCount: 0xff0),
        .unused(at: 0xff8, byteCount: 8),
    ]
    /// The count as written, which may be more than a page can hold.
    public var count: UInt32
    /// The second four bytes: must be zero.
    public var reserved: UInt32
    /// The elements: `count` of them, or as many as a page holds.
    public var ranges: [PageRange]

    /// Makes a list.
    public init(_ ranges: [PageRange]) {
        self.ranges = ranges
        count = UInt32(ranges.count)
        reserved = 0
    }

    /// Reads a list from its page.
    public init(decoding bytes: [UInt8]) {
        count = bytes.integer(at: 0)
        reserved = bytes.integer(at: 4)
        ranges = (0..<min(Int(count), Self.maximumCount)).map { index in
            let offset = 8 + index * Self.elementByteCount
            return PageRange(
                base: SPA(bytes.integer(at: offset)), pageCount: bytes.integer(at: offset + 8),
                reserved: bytes.integer(at: offset + 12))
        }
    }

    /// The list's page.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(count, at: 0)
        bytes.store(reserved, at: 4)
        for (index, range) in ranges.prefix(Self.maximumCount).enumerated() {
            let offset = 8 + index * Self.elementByteCount
            bytes.store(range.base.rawValue, at: offset)
            bytes.store(range.pageCount, at: offset + 8)
            bytes.store(range.reserved, at: offset + 12)
        }
        return bytes
    }
}
