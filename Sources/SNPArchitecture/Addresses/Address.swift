// Physical addresses and page frames, one type for each address space.
//
// There is no conversion from a guest frame to a host frame here: only memory slots, page tables and the RMP know one.

/// A byte address in one of the machine's address spaces.
public protocol Address: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
where RawValue == UInt64 {
    /// The type of a 4 KiB frame number in the same address space.
    associatedtype Frame: PageFrame where Frame.Address == Self
    /// Makes an address from its bit pattern.
    init(rawValue: UInt64)
}

/// The number of a 4 KiB page in one of the machine's address spaces: the address divided by 4096.
public protocol PageFrame: RawRepresentable, Hashable, Comparable, Sendable, Strideable, CustomStringConvertible
where RawValue == UInt64, Stride == Int {
    /// The type of a byte address in the same address space.
    associatedtype Address: SNPArchitecture.Address where Address.Frame == Self
    /// Makes a frame from its number.
    init(rawValue: UInt64)
}

extension Address {
    /// Makes an address from its bit pattern.
    @inlinable public init(_ rawValue: UInt64) { self.init(rawValue: rawValue) }
    /// The 4 KiB frame that holds this address.
    @inlinable public var frame: Frame { Frame(rawValue: rawValue >> 12) }
    /// The byte offset within the 4 KiB page, 0 to 4095.
    @inlinable public var pageOffset: Int { Int(truncatingIfNeeded: rawValue & 0xfff) }
    /// Whether the address is a multiple of the page size.
    @inlinable public func isAligned(to size: PageSize) -> Bool { rawValue & (size.byteCount &- 1) == 0 }
    /// The address `byteCount` bytes further on, or nil if that does not fit in 64 bits.
    @inlinable public func advanced(checked byteCount: UInt64) -> Self? {
        let (sum, overflow) = rawValue.addingReportingOverflow(byteCount)
        return overflow ? nil : Self(rawValue: sum)
    }
    /// Orders by address.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The address `byteCount` bytes further on; traps on overflow.
    @inlinable public static func + (a: Self, byteCount: UInt64) -> Self { Self(rawValue: a.rawValue + byteCount) }
    /// The address in hexadecimal.
    public var description: String { "0x" + String(rawValue, radix: 16) }
}

extension PageFrame {
    /// Makes a frame from its number.
    @inlinable public init(_ rawValue: UInt64) { self.init(rawValue: rawValue) }
    /// The address of the page's first byte.
    @inlinable public var address: Address { Address(rawValue: rawValue << 12) }
    /// Whether the frame is the first 4 KiB of a page of this size.
    @inlinable public func isAligned(to size: PageSize) -> Bool { rawValue & (size.pageCount &- 1) == 0 }
    /// The first frame of the page of this size that holds this frame.
    @inlinable public func aligned(down size: PageSize) -> Self { Self(rawValue: rawValue & ~(size.pageCount &- 1)) }
    /// The number of pages from this frame to `other`.
    @inlinable public func distance(to other: Self) -> Int { Int(other.rawValue) - Int(rawValue) }
    /// The frame `n` pages further on; traps on overflow.
    @inlinable public func advanced(by n: Int) -> Self { Self(rawValue: UInt64(Int(rawValue) + n)) }
    /// Orders by number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The frame `pageCount` pages further on; traps on overflow.
    @inlinable public static func + (a: Self, pageCount: UInt64) -> Self { Self(rawValue: a.rawValue + pageCount) }
    /// The frame number in hexadecimal.
    public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// Guest physical address.
@frozen public struct GPA: Address {
    /// The type of a frame in this space.
    public typealias Frame = GFN
    /// The address in bytes.
    public var rawValue: UInt64
    /// Makes an address from its bit pattern.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Guest frame number: a guest physical address divided by 4096.
@frozen public struct GFN: PageFrame {
    /// The type of an address in this space.
    public typealias Address = GPA
    /// The frame number.
    public var rawValue: UInt64
    /// Makes a frame from its number.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// System physical address: what the memory controller and the RMP see.
@frozen public struct SPA: Address {
    /// The type of a frame in this space.
    public typealias Frame = PFN
    /// The address in bytes.
    public var rawValue: UInt64
    /// Makes an address from its bit pattern.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Page frame number: a system physical address divided by 4096.
@frozen public struct PFN: PageFrame {
    /// The type of an address in this space.
    public typealias Address = SPA
    /// The frame number.
    public var rawValue: UInt64
    /// Makes a frame from its number.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Host virtual address: a user-space address of the VMM's process.
@frozen public struct HVA: Address {
    /// The type of a frame in this space.
    public typealias Frame = HVN
    /// The address in bytes.
    public var rawValue: UInt64
    /// Makes an address from its bit pattern.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Host virtual page number: a host virtual address divided by 4096.
@frozen public struct HVN: PageFrame {
    /// The type of an address in this space.
    public typealias Address = HVA
    /// The page number.
    public var rawValue: UInt64
    /// Makes a page number.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}
