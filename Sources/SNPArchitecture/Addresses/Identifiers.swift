// Identifiers that are not addresses: address-space identifier and privilege level.

/// Address-space identifier: names a guest's encryption key and tags its TLB entries. 0 is the host.
@frozen public struct ASID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number; the RMP keeps 10 bits of it.
    public var rawValue: UInt32
    /// Makes an ASID from its number.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Makes an ASID from its number.
    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    /// The host's ASID.
    @inlinable public static var host: ASID { ASID(0) }
    /// The largest ASID that an RMP entry can hold.
    @inlinable public static var maximum: ASID { ASID(0x3ff) }
    /// Orders by number.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// Virtual machine privilege level, 0 (most privileged) to 3.
@frozen public enum VMPL: UInt8, CaseIterable, Comparable, Sendable {
    /// The most privileged level.
    case vmpl0 = 0
    /// Level 1.
    case vmpl1 = 1
    /// Level 2.
    case vmpl2 = 2
    /// The least privileged level.
    case vmpl3 = 3
    /// Orders by number: a larger number is less privileged.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What one VMPL may do with a page: one byte of an RMP entry's second quadword.
@frozen public struct VMPLPermissions: OptionSet, Hashable, Sendable {
    /// The permission byte.
    public var rawValue: UInt8
    /// Makes a set from its byte.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Read.
    @inlinable public static var read: Self { Self(rawValue: 1) }
    /// Write.
    @inlinable public static var write: Self { Self(rawValue: 2) }
    /// Execute in user mode.
    @inlinable public static var executeUser: Self { Self(rawValue: 4) }
    /// Execute in supervisor mode.
    @inlinable public static var executeSupervisor: Self { Self(rawValue: 8) }
    /// Supervisor shadow stack.
    @inlinable public static var supervisorShadowStack: Self { Self(rawValue: 16) }
    /// Read, write, execute in both modes: what RMPUPDATE gives VMPL0.
    @inlinable public static var all: Self { Self(rawValue: 0xf) }
    /// The bits that have a meaning.
    @inlinable public static var defined: Self { Self(rawValue: 0x1f) }
}
