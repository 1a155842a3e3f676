// How a guest request ended: the firmware's word and the VMM's, in one quadword.

/// What the VMM says of a guest request: bits 63:32 of SW_EXITINFO2. An open set.
///
/// - Spec: GHCB 56421, "SNP guest request"
@frozen public struct GuestRequestVMMError: RawRepresentable, Hashable, Sendable {
    /// The number.
    public var rawValue: UInt32
    /// Makes an error from its number.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Nothing to say.
    @inlinable public static var none: Self { Self(rawValue: 0) }
    /// The certificates do not fit; RBX says how many pages they need.
    @inlinable public static var invalidLength: Self { Self(rawValue: 1) }
    /// Try the same message later.
    @inlinable public static var busy: Self { Self(rawValue: 2) }
    /// Something else failed.
    @inlinable public static var generic: Self { Self(rawValue: .max) }
}

/// SW_EXITINFO2 after a guest request.
///
/// - Spec: GHCB 56421, "SNP guest request"
@frozen public struct GuestRequestResult: RawRepresentable, Hashable, Sendable {
    /// The quadword.
    public var rawValue: UInt64
    /// Makes a result from SW_EXITINFO2.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Makes a result.
    @inlinable public init(vmm: GuestRequestVMMError = .none, firmware: FirmwareStatus = .success) {
        rawValue = UInt64(vmm.rawValue) << 32 | UInt64(firmware.rawValue)
    }
    /// Bits 63:32.
    @inlinable public var vmm: GuestRequestVMMError {
        GuestRequestVMMError(rawValue: UInt32(truncatingIfNeeded: rawValue >> 32))
    }
    /// Bits 31:0, of which firmware uses 16.
    @inlinable public var firmware: FirmwareStatus {
        FirmwareStatus(rawValue: UInt16(truncatingIfNeeded: rawValue))
    }
}
