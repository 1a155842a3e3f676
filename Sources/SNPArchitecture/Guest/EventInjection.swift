// An event that enters a guest: EVENTINJ and EXITINTINFO of a VMCB, and SW_EXITINFO2 of a GHCB that tells of an exception.

/// An interrupt or exception as EVENTINJ packs it.
///
/// - Spec: APM2 15.20, EVENTINJ
@frozen public struct EventInjection: RawRepresentable, Hashable, Sendable {
    /// The quadword.
    public var rawValue: UInt64
    /// Makes an event from its quadword.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The kind of an event.
    @frozen public enum Kind: UInt8, CaseIterable, Sendable {
        /// An external or virtual interrupt.
        case interrupt = 0
        /// An NMI.
        case nmi = 2
        /// An exception.
        case exception = 3
        /// A software interrupt.
        case software = 4
    }

    /// Bits 7:0.
    @inlinable public static var vectorField: BitField<UInt64> { BitField(0...7) }
    /// Bits 10:8.
    @inlinable public static var kindField: BitField<UInt64> { BitField(8...10) }
    /// EV, bit 11: an error code is pushed.
    @inlinable public static var hasErrorCodeBit: Int { 11 }
    /// V, bit 31.
    @inlinable public static var validBit: Int { 31 }
    /// Bits 63:32.
    @inlinable public static var errorCodeField: BitField<UInt64> { BitField(32...63) }

    /// No event.
    @inlinable public static var none: Self { Self(rawValue: 0) }

    /// Makes a valid event.
    @inlinable public init(_ kind: Kind, vector: UInt8, errorCode: UInt32? = nil) {
        rawValue = UInt64(vector) | UInt64(kind.rawValue) << 8 | 1 << UInt64(Self.validBit)
        if let errorCode { rawValue |= 1 << UInt64(Self.hasErrorCodeBit) | UInt64(errorCode) << 32 }
    }

    /// Whether there is an event.
    @inlinable public var isValid: Bool { rawValue.hasBit(Self.validBit) }
    /// The vector.
    @inlinable public var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue[Self.vectorField]) }
    /// The kind, or nil for a number that has no meaning.
    @inlinable public var kind: Kind? { Kind(rawValue: UInt8(truncatingIfNeeded: rawValue[Self.kindField])) }
    /// The error code that is pushed, if one is.
    @inlinable public var errorCode: UInt32? {
        rawValue.hasBit(Self.hasErrorCodeBit) ? UInt32(truncatingIfNeeded: rawValue[Self.errorCodeField]) : nil
    }
}
