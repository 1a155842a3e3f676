// SW_EXITINFO1 of an IN, OUT, INS or OUTS.

/// What an I/O instruction does: EXITINFO1 of the IOIO exit.
///
/// - Spec: APM2 15.10.2, EXITINFO1 for IOIO intercept
@frozen public struct IOExitInfo: RawRepresentable, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt64
    /// Makes a description from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Makes a description of an instruction with 64-bit addresses.
    ///
    /// - Parameter byteCount: 1, 2 or 4
    @inlinable public init(
        port: UInt16, byteCount: UInt8, isInput: Bool, isString: Bool = false, isRepeated: Bool = false
    ) {
        rawValue = UInt64(port) << 16 | 1 << 9 | UInt64(byteCount & 7) << 4
        if isInput { rawValue |= 1 << 0 }
        if isString { rawValue |= 1 << 2 }
        if isRepeated { rawValue |= 1 << 3 }
        if isString { rawValue |= (isInput ? 0 : 3) << 10 }
    }

    /// Bit 0: IN or INS.
    @inlinable public var isInput: Bool { rawValue.hasBit(0) }
    /// Bit 2: INS or OUTS.
    @inlinable public var isString: Bool { rawValue.hasBit(2) }
    /// Bit 3: with REP.
    @inlinable public var isRepeated: Bool { rawValue.hasBit(3) }
    /// Bits 6:4, one for each of 8, 16 and 32 bits: read as a number, the size in bytes. A guest may write any of 0 to 7.
    @inlinable public var byteCount: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 4 & 7) }
    /// Bits 9:7, one for each address size: 1 for 16, 2 for 32, 4 for 64 bits.
    @inlinable public var addressSize: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 7 & 7) }
    /// Bits 12:10: the segment, 0 ES to 5 GS.
    @inlinable public var segment: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 10 & 7) }
    /// Bits 31:16.
    @inlinable public var port: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
    /// The size is one that an instruction can have.
    @inlinable public var hasDefinedSize: Bool { byteCount == 1 || byteCount == 2 || byteCount == 4 }
}
