// Page sizes: the two of the RMP, and the three levels at which a page table can map.

/// A size of page that the RMP knows: 4 KiB or 2 MiB.
///
/// - Spec: APM2 15.36.3, RMP entry, Page_Size
@frozen public enum PageSize: UInt8, CaseIterable, Sendable, CustomStringConvertible {
    /// 4 KiB.
    case size4K = 0
    /// 2 MiB.
    case size2M = 1

    /// The size in bytes.
    @inlinable public var byteCount: UInt64 { self == .size4K ? 4096 : 0x20_0000 }
    /// The size in 4 KiB pages.
    @inlinable public var pageCount: UInt64 { self == .size4K ? 1 : 512 }
    /// "4K" or "2M".
    public var description: String { self == .size4K ? "4K" : "2M" }
}

/// The level at which a page table maps a page.
@frozen public enum PageLevel: UInt8, CaseIterable, Comparable, Sendable, CustomStringConvertible {
    /// 4 KiB, level 1.
    case level4K = 1
    /// 2 MiB, level 2.
    case level2M = 2
    /// 1 GiB, level 3.
    case level1G = 3

    /// The size in 4 KiB pages: 1, 512 or 262144.
    @inlinable public var pageCount: UInt64 { 1 << (UInt64(rawValue &- 1) &* 9) }
    /// The size in bytes.
    @inlinable public var byteCount: UInt64 { pageCount << 12 }
    /// The size at which the RMP can express a mapping of this level: a 1 GiB mapping counts as 2 MiB.
    @inlinable public var rmpSize: PageSize { self == .level4K ? .size4K : .size2M }
    /// Orders by size.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// "4K", "2M" or "1G".
    public var description: String {
        switch self {
        case .level4K: "4K"
        case .level2M: "2M"
        case .level1G: "1G"
        }
    }
}
