// One entry of a page table: the AMD64 long-mode format, which nested tables share.

public import SNPArchitecture

/// The bits of a page-table entry other than its address.
///
/// - Spec: APM2 5.3.3, 5.4 (long-mode page-translation entries); 15.25.5 (nested tables use the same format)
@frozen public struct PageFlags: OptionSet, Hashable, Sendable {
    /// The bits, where the entry has them.
    public var rawValue: UInt64
    /// Makes a set from an entry's bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// P, bit 0: the entry is valid. Tables set it by themselves.
    @inlinable public static var present: Self { Self(rawValue: 1 << 0) }
    /// W, bit 1: writes are allowed.
    @inlinable public static var writable: Self { Self(rawValue: 1 << 1) }
    /// U, bit 2: user accesses are allowed; all nested accesses are user accesses.
    @inlinable public static var user: Self { Self(rawValue: 1 << 2) }
    /// A, bit 5: the processor has used the entry.
    @inlinable public static var accessed: Self { Self(rawValue: 1 << 5) }
    /// D, bit 6: the processor has written through the entry.
    @inlinable public static var dirty: Self { Self(rawValue: 1 << 6) }
    /// NX, bit 63: instruction fetches are refused.
    @inlinable public static var noExecute: Self { Self(rawValue: 1 << 63) }
    /// Bits 11:9, which the processor ignores.
    @inlinable public static var software: Self { Self(rawValue: 7 << 9) }

    /// Read, write and execute for a guest.
    @inlinable public static var guest: Self { [.writable, .user] }
    /// Read and write for the host's kernel.
    @inlinable public static var kernel: Self { [.writable, .noExecute] }
    /// The flags that a caller may set in a leaf.
    @inlinable public static var leaf: Self { [.writable, .user, .accessed, .dirty, .noExecute, .software] }
}

/// A page-table entry as it stands in memory.
///
/// - Spec: APM2 5.3.3
@frozen public struct PageTableEntry: RawRepresentable, Hashable, Sendable {
    /// The 64 bits.
    public var rawValue: UInt64
    /// Makes an entry from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// PS, bit 7: at level 2 and 3, the entry maps a page and names no table.
    @inlinable public static var pageSizeBit: UInt64 { 1 << 7 }
    /// Bits 51:12.
    @inlinable public static var addressMask: UInt64 { 0x000f_ffff_ffff_f000 }
    /// How many bits a physical address has. Bits above it in an entry's address are reserved.
    ///
    /// - Deviates: fixed at 46, what Genoa has left of 52 with memory encryption on; the host does not set its own C-bit
    @inlinable public static var physicalAddressWidth: UInt64 { 46 }

    /// Makes an entry that maps a page.
    @inlinable public init(leaf pfn: PFN, level: PageLevel, flags: PageFlags) {
        rawValue = pfn.rawValue << 12 | flags.intersection(.leaf).rawValue | 1
        if level != .level4K { rawValue |= Self.pageSizeBit }
    }

    /// Makes an entry that names a table. It restricts nothing: leaves do.
    @inlinable public init(table pfn: PFN) {
        rawValue =
            pfn.rawValue << 12
            | PageFlags([.present, .writable, .user, .accessed]).rawValue
    }

    /// Whether the entry is valid.
    @inlinable public var isPresent: Bool { rawValue & 1 != 0 }
    /// Whether the entry, of a table at this level (1 to 4), maps a page.
    @inlinable public func isLeaf(atLevel level: UInt64) -> Bool {
        rawValue & 1 != 0 && (level == 1 || rawValue & Self.pageSizeBit != 0)
    }
    /// The frame that the entry names.
    @inlinable public var pfn: PFN { PFN((rawValue & Self.addressMask) >> 12) }
    /// The bits other than P, PS and the address.
    @inlinable public var flags: PageFlags { PageFlags(rawValue: rawValue).intersection(.leaf) }

    /// Whether a reserved bit is set in a present entry of a table at this level.
    ///
    /// - Spec: APM2 5.3.3: address bits past the physical address width; PS at level 4; address bits below a large page's
    ///   size, but for PAT at bit 12
    @inlinable public func hasReservedBits(atLevel level: UInt64) -> Bool {
        var reserved = Self.addressMask & ~((1 << Self.physicalAddressWidth) &- 1)
        if level == 4 {
            reserved |= Self.pageSizeBit
        } else if level > 1, rawValue & Self.pageSizeBit != 0 {
            reserved |= ((1 << (12 &+ 9 &* (level &- 1))) &- 1) & ~0x1fff
        }
        return rawValue & reserved != 0
    }
}
