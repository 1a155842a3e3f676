// A segment register as the VMSA and the VMCB store it: 16 bytes, with the attributes packed into 12 bits.

/// A segment register in the save area of a virtual CPU.
///
/// - Spec: APM2 Table B-4, segment registers; APM2 15.5.1, attribute packing
@frozen public struct SegmentRegister: Hashable, Sendable {
    /// The selector.
    public var selector: UInt16
    /// Type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10, G 11.
    public var attributes: UInt16
    /// The limit in bytes.
    public var limit: UInt32
    /// The linear base address.
    public var base: UInt64

    /// Makes a register; without arguments all fields are zero.
    @inlinable public init(selector: UInt16 = 0, attributes: UInt16 = 0, limit: UInt32 = 0, base: UInt64 = 0) {
        self.selector = selector
        self.attributes = attributes
        self.limit = limit
        self.base = base
    }

    /// Packs the attributes of a segment descriptor: its bits 47:40 and 55:52, as `0xG0PT` (low byte, then 15:12).
    @inlinable public static func attributes(descriptor: UInt16) -> UInt16 {
        (descriptor & 0xff) | ((descriptor & 0xf000) >> 4)
    }

    /// The first quadword: selector, attributes, limit.
    @inlinable var lowQuadword: UInt64 {
        UInt64(selector) | UInt64(attributes) << 16 | UInt64(limit) << 32
    }

    /// Makes a register from its two quadwords.
    @inlinable init(low: UInt64, base: UInt64) {
        self.init(
            selector: UInt16(truncatingIfNeeded: low), attributes: UInt16(truncatingIfNeeded: low >> 16),
            limit: UInt32(truncatingIfNeeded: low >> 32), base: base)
    }
}
