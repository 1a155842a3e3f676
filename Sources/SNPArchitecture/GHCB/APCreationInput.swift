// The request of SNP AP creation: which virtual CPU shall run which VMSA.

/// What is to be done with a virtual CPU: bits 15:0 of SW_EXITINFO1. An open set.
///
/// - Spec: GHCB 56421, "SNP AP creation"
@frozen public struct APCreationKind: RawRepresentable, Hashable, Sendable {
    /// The number.
    public var rawValue: UInt16
    /// Makes a kind from its number.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// The VMSA is used from the next INIT on.
    @inlinable public static var createOnInit: Self { Self(rawValue: 0) }
    /// The VMSA is used at once.
    @inlinable public static var create: Self { Self(rawValue: 1) }
    /// The virtual CPU runs no more.
    @inlinable public static var destroy: Self { Self(rawValue: 2) }
}

/// The inputs of the event 0x80000013.
///
/// - Spec: GHCB 56421, "SNP AP creation"
@frozen public struct APCreationInput: Hashable, Sendable {
    /// SW_EXITINFO1.
    public var exitInfo1: UInt64
    /// SW_EXITINFO2: where the VMSA is.
    public var vmsa: GPA

    /// Reads a request.
    @inlinable public init(exitInfo1: UInt64, exitInfo2: UInt64) {
        self.exitInfo1 = exitInfo1
        vmsa = GPA(exitInfo2)
    }

    /// Makes a request.
    @inlinable public init(_ kind: APCreationKind, apicID: UInt32, vmpl: UInt8 = 0, vmsa: GPA) {
        exitInfo1 = UInt64(kind.rawValue) | UInt64(vmpl & 0xf) << 16 | UInt64(apicID) << 32
        self.vmsa = vmsa
    }

    /// Bits 15:0.
    @inlinable public var kind: APCreationKind { APCreationKind(rawValue: UInt16(truncatingIfNeeded: exitInfo1)) }
    /// Bits 19:16; only hosts with several VMPLs look at it.
    @inlinable public var vmpl: UInt8 { UInt8(truncatingIfNeeded: exitInfo1 >> 16 & 0xf) }
    /// Bits 31:20, without meaning.
    @inlinable public var reserved: UInt16 { UInt16(truncatingIfNeeded: exitInfo1 >> 20 & 0xfff) }
    /// Bits 63:32.
    @inlinable public var apicID: UInt32 { UInt32(truncatingIfNeeded: exitInfo1 >> 32) }
}
