// The buffer of a page state change: a header and up to 253 entries, which host and guest both write.

/// What is to become of a page: 4 bits. An open set.
///
/// - Spec: GHCB 56421, "SNP page state change"
@frozen public struct PageStateOperation: RawRepresentable, Hashable, Sendable {
    /// The number.
    public var rawValue: UInt8
    /// Makes an operation from its number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Becomes private.
    @inlinable public static var makePrivate: Self { Self(rawValue: 1) }
    /// Becomes shared.
    @inlinable public static var makeShared: Self { Self(rawValue: 2) }
    /// A hint that the guest will use 4 KiB pages. Not in the MSR protocol.
    @inlinable public static var smash: Self { Self(rawValue: 3) }
    /// A hint that the guest will use a 2 MiB page. Not in the MSR protocol.
    @inlinable public static var unsmash: Self { Self(rawValue: 4) }
}

/// The first quadword of the buffer.
///
/// - Spec: GHCB 56421, "SNP page state change", header
@frozen public struct PageStateChangeHeader: RawRepresentable, Hashable, Sendable {
    /// The quadword.
    public var rawValue: UInt64
    /// Makes a header from its quadword.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes a header.
    @inlinable public init(currentEntry: UInt16, endEntry: UInt16) {
        rawValue = UInt64(currentEntry) | UInt64(endEntry) << 16
    }
    /// The next entry to process; past `endEntry` when all is done.
    @inlinable public var currentEntry: UInt16 {
        get { UInt16(truncatingIfNeeded: rawValue) }
        set { rawValue = rawValue & ~0xffff | UInt64(newValue) }
    }
    /// The last entry, itself included.
    @inlinable public var endEntry: UInt16 {
        get { UInt16(truncatingIfNeeded: rawValue >> 16) }
        set { rawValue = rawValue & ~0xffff_0000 | UInt64(newValue) << 16 }
    }
    /// Bits 63:32, zero.
    @inlinable public var reserved: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
}

/// One entry of the buffer.
///
/// - Spec: GHCB 56421, "SNP page state change", entry
@frozen public struct PageStateChangeEntry: RawRepresentable, Hashable, Sendable {
    /// The quadword.
    public var rawValue: UInt64
    /// Makes an entry from its quadword.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes an entry of which nothing is done yet; the frame number has 40 bits.
    @inlinable public init(_ gfn: GFN, _ operation: PageStateOperation, _ size: PageSize = .size4K) {
        rawValue = (gfn.rawValue & 0xff_ffff_ffff) << 12 | UInt64(operation.rawValue & 0xf) << 52
        if size == .size2M { rawValue |= 1 << 56 }
    }
    /// Bits 11:0: how many 4 KiB pages of the entry are done.
    @inlinable public var currentPage: UInt16 {
        get { UInt16(truncatingIfNeeded: rawValue & 0xfff) }
        set { rawValue = rawValue & ~0xfff | UInt64(newValue & 0xfff) }
    }
    /// Bits 51:12.
    @inlinable public var gfn: GFN { GFN(rawValue >> 12 & 0xff_ffff_ffff) }
    /// Bits 55:52.
    @inlinable public var operation: PageStateOperation {
        PageStateOperation(rawValue: UInt8(truncatingIfNeeded: rawValue >> 52 & 0xf))
    }
    /// Bit 56.
    @inlinable public var size: PageSize { rawValue.hasBit(56) ? .size2M : .size4K }
    /// Bits 63:57.
    @inlinable public var reserved: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 57) }
}

/// How a page state change ended: SW_EXITINFO2, with no action in SW_EXITINFO1. An open set.
///
/// - Spec: GHCB 56421, "SNP page state change", results
@frozen public struct PageStateChangeResult: RawRepresentable, Hashable, Sendable {
    /// SW_EXITINFO2.
    public var rawValue: UInt64
    /// Makes a result from SW_EXITINFO2.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Processed; the header says how far.
    @inlinable public static var processed: Self { Self(rawValue: 0) }
    /// The header is invalid.
    @inlinable public static var invalidHeader: Self { Self(rawValue: 1 << 32 | 1) }
    /// The current entry is invalid.
    @inlinable public static var invalidEntry: Self { Self(rawValue: 1 << 32 | 2) }
    /// The VMM failed.
    @inlinable public static var genericError: Self { Self(rawValue: 0x100 << 32) }
}

/// The limits of the buffer.
public enum PageStateChangeBuffer {
    /// The bytes of the header, and of an entry.
    public static let quadwordByteCount = 8
    /// The most entries that a buffer in the GHCB has: what fits after the header in 2032 bytes.
    public static let maximumEntryCount = (GHCBPage.sharedBuffer.count - quadwordByteCount) / quadwordByteCount
}
