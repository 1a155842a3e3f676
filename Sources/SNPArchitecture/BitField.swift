// Named bit ranges of fixed-width integers, for the raw forms of hardware structures.

/// A range of bits in a raw hardware value.
@frozen public struct BitField<Raw: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    /// The lowest bit.
    public let lowestBit: Int
    /// The number of bits, at least 1.
    public let width: Int
    /// Makes a field of the bits in `bits`, both ends included, as the manuals write them.
    @inlinable public init(_ bits: ClosedRange<Int>) {
        lowestBit = bits.lowerBound
        width = bits.count
    }
    /// Makes a field of one bit.
    @inlinable public init(_ bit: Int) { self.init(bit...bit) }
    /// The field's bits, in place.
    @inlinable public var mask: Raw { (width == Raw.bitWidth ? ~0 : (1 << width) &- 1) << lowestBit }
}

extension FixedWidthInteger where Self: UnsignedInteger & Sendable {
    /// The value of a field, shifted down to bit 0. Bits of a new value that do not fit are dropped.
    @inlinable public subscript(_ field: BitField<Self>) -> Self {
        get { (self & field.mask) >> field.lowestBit }
        set { self = (self & ~field.mask) | ((newValue << field.lowestBit) & field.mask) }
    }
    /// Whether the bit is set.
    @inlinable public func hasBit(_ bit: Int) -> Bool { self & (1 << bit) != 0 }
}
