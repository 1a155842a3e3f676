// Command buffers: at most 64 bytes that the host writes and firmware copies in once, before it looks at any of them.
//
// A buffer keeps its bytes as they are in memory, reserved ones too; fields are read out of those bytes.

/// The bytes of a command buffer, padded with zeros to the size of the largest one.
@frozen public struct CommandBytes: Hashable, Sendable {
    /// The bytes, eight to a word, little-endian.
    public var words: InlineArray<8, UInt64>
    /// Makes a buffer of zeros.
    @inlinable public init() { words = InlineArray(repeating: 0) }
    /// Makes a buffer of the first 64 of `bytes`.
    public init(_ bytes: [UInt8]) {
        self.init()
        for (index, byte) in bytes.prefix(Self.maximumByteCount).enumerated() {
            words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
        }
    }
    /// The size of the largest command buffer.
    @inlinable public static var maximumByteCount: Int { 64 }

    /// A naturally aligned integer at a byte offset.
    @inlinable public subscript<T: FixedWidthInteger & UnsignedInteger>(_ offset: Int, as type: T.Type) -> T {
        get { T(truncatingIfNeeded: words[offset / 8] >> UInt64(offset % 8 * 8)) }
        set {
            let shift = UInt64(offset % 8 * 8)
            let mask = UInt64(truncatingIfNeeded: T.max) << shift
            words[offset / 8] = (words[offset / 8] & ~mask) | (UInt64(truncatingIfNeeded: newValue) << shift)
        }
    }
    /// A bit of the 32-bit or 64-bit flag field at a byte offset.
    @inlinable subscript(_ offset: Int, bit bit: Int) -> Bool {
        get { words[offset / 8].hasBit(offset % 8 * 8 + bit) }
        set {
            let mask: UInt64 = 1 << UInt64(offset % 8 * 8 + bit)
            words[offset / 8] = newValue ? words[offset / 8] | mask : words[offset / 8] & ~mask
        }
    }
    /// The first `count` bytes, as they stand in memory.
    public func prefix(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64($0 % 8 * 8)) }
    }
    /// Whether no bit is set both here and in `mask`.
    @inlinable public func isDisjoint(with mask: CommandBytes) -> Bool {
        for index in 0..<8 where words[index] & mask.words[index] != 0 { return false }
        return true
    }
    /// Compares the bytes.
    @inlinable public static func == (a: Self, b: Self) -> Bool {
        for index in 0..<8 where a.words[index] != b.words[index] { return false }
        return true
    }
    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { for index in 0..<8 { hasher.combine(words[index]) } }
}

/// The buffer of one firmware command.
public protocol CommandBuffer: FirmwareLayout, Hashable, Sendable {
    /// The command that takes this buffer.
    static var command: FirmwareCommand { get }
    /// The bits that firmware requires to be zero.
    static var reserved: CommandBytes { get }
    /// The bytes as they are in memory.
    var bytes: CommandBytes { get set }
    /// Makes a buffer from its bytes.
    init(bytes: CommandBytes)
}

extension CommandBuffer {
    /// Makes a buffer of zeros.
    @inlinable public init() { self.init(bytes: CommandBytes()) }
    /// Reads the buffer from memory.
    public init(decoding bytes: [UInt8]) { self.init(bytes: CommandBytes(Array(bytes.prefix(Self.byteCount)))) }
    /// The buffer as the driver writes it.
    public var encoded: [UInt8] { bytes.prefix(Self.byteCount) }
    /// Whether every bit that must be zero is zero: the first check of almost every command.
    @inlinable public var reservedIsZero: Bool { bytes.isDisjoint(with: Self.reserved) }
}
