// How the structures of the firmware ABI describe themselves: a flat list of fields, comparable with the document.
//
// The lists drive the checks of reserved bits and the layout tests. Byte order is little-endian throughout.

/// One field of a structure of the firmware ABI.
@frozen public struct LayoutField: Hashable, Sendable {
    /// What firmware does with the bits of a field that have no meaning.
    @frozen public enum Kind: Hashable, Sendable {
        /// A field of up to 8 bytes whose bits in the mask must be zero.
        case integer(reserved: UInt64)
        /// Bytes without structure of their own: keys, digests, identifiers.
        case bytes
        /// Must be zero.
        case reserved
        /// Neither read nor checked.
        case unused
    }

    /// The field's name in the ABI document.
    public var name: String
    /// The offset from the start of the structure, in bytes.
    public var offset: Int
    /// The size in bytes.
    public var byteCount: Int
    /// How its bits are treated.
    public var kind: Kind

    /// Makes a field.
    @inlinable public init(_ name: String, at offset: Int, byteCount: Int, _ kind: Kind) {
        self.name = name
        self.offset = offset
        self.byteCount = byteCount
        self.kind = kind
    }

    /// An integer of 1, 2, 4 or 8 bytes, some of whose bits may be reserved.
    @inlinable public static func integer(
        _ name: String, at offset: Int, byteCount: Int, reserved: UInt64 = 0
    ) -> Self { Self(name, at: offset, byteCount: byteCount, .integer(reserved: reserved)) }
    /// The 8-byte address of a 4 KiB page: bits 11:0 are reserved.
    @inlinable public static func pageAddress(_ name: String, at offset: Int) -> Self {
        integer(name, at: offset, byteCount: 8, reserved: 0xfff)
    }
    /// Bytes without structure.
    @inlinable public static func bytes(_ name: String, at offset: Int, byteCount: Int) -> Self {
        Self(name, at: offset, byteCount: byteCount, .bytes)
    }
    /// Bytes that must be zero.
    @inlinable public static func reserved(at offset: Int, byteCount: Int) -> Self {
        Self("reserved", at: offset, byteCount: byteCount, .reserved)
    }
    /// Bytes that firmware does not look at.
    @inlinable public static func unused(at offset: Int, byteCount: Int) -> Self {
        Self("unused", at: offset, byteCount: byteCount, .unused)
    }

    /// Whether the reserved byte mask covers the byte at `index` of the structure, and with which bits.
    func reservedBits(ofByte index: Int) -> UInt8 {
        guard index >= offset && index < offset + byteCount else { return 0 }
        switch kind {
        case .integer(let reserved): return UInt8(truncatingIfNeeded: reserved >> UInt64(8 * (index - offset)))
        case .reserved: return 0xff
        case .bytes, .unused: return 0
        }
    }
}

/// A structure of the firmware ABI whose layout is given as a list of fields.
public protocol FirmwareLayout: SendableMetatype {
    /// The size of the structure in bytes.
    static var byteCount: Int { get }
    /// Every byte of the structure, in order of offset, without overlap.
    static var fields: [LayoutField] { get }
    /// Reads the structure from at least `byteCount` bytes; traps on fewer.
    init(decoding bytes: [UInt8])
    /// The structure as it stands in memory.
    var encoded: [UInt8] { get }
}

extension FirmwareLayout {
    /// The bits that must be zero, byte by byte.
    public static var reservedMask: [UInt8] {
        (0..<byteCount).map { index in fields.reduce(0) { $0 | $1.reservedBits(ofByte: index) } }
    }
}

extension [UInt8] {
    /// Reads a little-endian integer.
    @inlinable package func integer<T: FixedWidthInteger>(at offset: Int, as type: T.Type = T.self) -> T {
        precondition(offset >= 0 && offset <= count - T.bitWidth / 8, "an integer past the end")
        var value: T = 0
        for index in 0..<(T.bitWidth / 8) { value |= T(truncatingIfNeeded: self[offset + index]) << T(8 * index) }
        return value
    }
    /// Writes a little-endian integer.
    @inlinable package mutating func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset <= count - T.bitWidth / 8, "an integer past the end")
        for index in 0..<(T.bitWidth / 8) { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index)) }
    }
    /// Copies bytes in, or as many of them as `limit` allows.
    package mutating func store(_ bytes: [UInt8], at offset: Int, limit: Int) {
        for (index, byte) in bytes.prefix(limit).enumerated() { self[offset + index] = byte }
    }
    /// The bytes of a field.
    package func field(at offset: Int, byteCount: Int) -> [UInt8] { Array(self[offset..<(offset + byteCount)]) }
}
