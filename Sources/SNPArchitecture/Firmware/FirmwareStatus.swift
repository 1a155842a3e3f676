// Status codes that the AMD Secure Processor returns.

/// The status of a firmware command. An open set: unknown values round-trip.
///
/// - Spec: FWABI 56860, "Status codes"
@frozen public struct FirmwareStatus: RawRepresentable, Error, Hashable, Sendable, CustomStringConvertible {
    /// The 16-bit status.
    public var rawValue: UInt16
    /// Makes a status from its number.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Each status that has a name, in order of number.
    public static let named: [(status: FirmwareStatus, name: String)] = [
        (.success, "SUCCESS"), (.invalidPlatformState, "INVALID_PLATFORM_STATE"),
        (.invalidGuestState, "INVALID_GUEST_STATE"), (.invalidConfig, "INVALID_CONFIG"),
        (.invalidLength, "INVALID_LENGTH"), (.alreadyOwned, "ALREADY_OWNED"),
        (.invalidCertificate, "INVALID_CERTIFICATE"), (.policyFailure, "POLICY_FAILURE"), (.inactive, "INACTIVE"),
        (.invalidAddress, "INVALID_ADDRESS"), (.badSignature, "BAD_SIGNATURE"), (.badMeasurement, "BAD_MEASUREMENT"),
        (.asidOwned, "ASID_OWNED"), (.invalidASID, "INVALID_ASID"), (.wbinvdRequired, "WBINVD_REQUIRED"),
        (.dfFlushRequired, "DF_FLUSH_REQUIRED"), (.invalidGuest, "INVALID_GUEST"),
        (.invalidCommand, "INVALID_COMMAND"), (.active, "ACTIVE"), (.hardwareErrorPlatform, "HWERROR_PLATFORM"),
        (.hardwareErrorUnsafe, "HWERROR_UNSAFE"), (.unsupported, "UNSUPPORTED"), (.invalidParam, "INVALID_PARAM"),
        (.resourceLimit, "RESOURCE_LIMIT"), (.secureDataInvalid, "SECURE_DATA_INVALID"),
        (.invalidPageSize, "INVALID_PAGE_SIZE"), (.invalidPageState, "INVALID_PAGE_STATE"),
        (.invalidMetadataEntry, "INVALID_MDATA_ENTRY"), (.invalidPageOwner, "INVALID_PAGE_OWNER"),
        (.aeadOverflow, "AEAD_OFLOW"), (.exitRingBuffer, "EXIT_RING_BUFFER"),
        (.rmpInitRequired, "RMP_INIT_REQUIRED"), (.badSVN, "BAD_SVN"), (.badVersion, "BAD_VERSION"),
        (.shutdownRequired, "SHUTDOWN_REQUIRED"), (.updateFailed, "UPDATE_FAILED"),
        (.restoreRequired, "RESTORE_REQUIRED"), (.rmpInitializationFailed, "RMP_INITIALIZATION_FAILED"),
        (.invalidKey, "INVALID_KEY"), (.shutdownIncomplete, "SHUTDOWN_INCOMPLETE"),
    ]

    /// SUCCESS.
    @inlinable public static var success: Self { Self(rawValue: 0x00) }
    /// INVALID_PLATFORM_STATE.
    @inlinable public static var invalidPlatformState: Self { Self(rawValue: 0x01) }
    /// INVALID_GUEST_STATE.
    @inlinable public static var invalidGuestState: Self { Self(rawValue: 0x02) }
    /// INVALID_CONFIG.
    @inlinable public static var invalidConfig: Self { Self(rawValue: 0x03) }
    /// INVALID_LENGTH.
    @inlinable public static var invalidLength: Self { Self(rawValue: 0x04) }
    /// ALREADY_OWNED.
    @inlinable public static var alreadyOwned: Self { Self(rawValue: 0x05) }
    /// INVALID_CERTIFICATE.
    @inlinable public static var invalidCertificate: Self { Self(rawValue: 0x06) }
    /// POLICY_FAILURE.
    @inlinable public static var policyFailure: Self { Self(rawValue: 0x07) }
    /// INACTIVE.
    @inlinable public static var inactive: Self { Self(rawValue: 0x08) }
    /// INVALID_ADDRESS.
    @inlinable public static var invalidAddress: Self { Self(rawValue: 0x09) }
    /// BAD_SIGNATURE.
    @inlinable public static var badSignature: Self { Self(rawValue: 0x0a) }
    /// BAD_MEASUREMENT.
    @inlinable public static var badMeasurement: Self { Self(rawValue: 0x0b) }
    /// ASID_OWNED.
    @inlinable public static var asidOwned: Self { Self(rawValue: 0x0c) }
    /// INVALID_ASID.
    @inlinable public static var invalidASID: Self { Self(rawValue: 0x0d) }
    /// WBINVD_REQUIRED.
    @inlinable public static var wbinvdRequired: Self { Self(rawValue: 0x0e) }
    /// DF_FLUSH_REQUIRED.
    @inlinable public static var dfFlushRequired: Self { Self(rawValue: 0x0f) }
    /// INVALID_GUEST.
    @inlinable public static var invalidGuest: Self { Self(rawValue: 0x10) }
    /// INVALID_COMMAND.
    @inlinable public static var invalidCommand: Self { Self(rawValue: 0x11) }
    /// ACTIVE.
    @inlinable public static var active: Self { Self(rawValue: 0x12) }
    /// HWERROR_PLATFORM.
    @inlinable public static var hardwareErrorPlatform: Self { Self(rawValue: 0x13) }
    /// HWERROR_UNSAFE.
    @inlinable public static var hardwareErrorUnsafe: Self { Self(rawValue: 0x14) }
    /// UNSUPPORTED.
    @inlinable public static var unsupported: Self { Self(rawValue: 0x15) }
    /// INVALID_PARAM.
    @inlinable public static var invalidParam: Self { Self(rawValue: 0x16) }
    /// RESOURCE_LIMIT.
    @inlinable public static var resourceLimit: Self { Self(rawValue: 0x17) }
    /// SECURE_DATA_INVALID.
    @inlinable public static var secureDataInvalid: Self { Self(rawValue: 0x18) }
    /// INVALID_PAGE_SIZE.
    @inlinable public static var invalidPageSize: Self { Self(rawValue: 0x19) }
    /// INVALID_PAGE_STATE.
    @inlinable public static var invalidPageState: Self { Self(rawValue: 0x1a) }
    /// INVALID_MDATA_ENTRY.
    @inlinable public static var invalidMetadataEntry: Self { Self(rawValue: 0x1b) }
    /// INVALID_PAGE_OWNER.
    @inlinable public static var invalidPageOwner: Self { Self(rawValue: 0x1c) }
    /// AEAD_OFLOW.
    @inlinable public static var aeadOverflow: Self { Self(rawValue: 0x1d) }
    /// EXIT_RING_BUFFER.
    @inlinable public static var exitRingBuffer: Self { Self(rawValue: 0x1f) }
    /// RMP_INIT_REQUIRED.
    @inlinable public static var rmpInitRequired: Self { Self(rawValue: 0x20) }
    /// BAD_SVN.
    @inlinable public static var badSVN: Self { Self(rawValue: 0x21) }
    /// BAD_VERSION.
    @inlinable public static var badVersion: Self { Self(rawValue: 0x22) }
    /// SHUTDOWN_REQUIRED.
    @inlinable public static var shutdownRequired: Self { Self(rawValue: 0x23) }
    /// UPDATE_FAILED.
    @inlinable public static var updateFailed: Self { Self(rawValue: 0x24) }
    /// RESTORE_REQUIRED.
    @inlinable public static var restoreRequired: Self { Self(rawValue: 0x25) }
    /// RMP_INITIALIZATION_FAILED.
    @inlinable public static var rmpInitializationFailed: Self { Self(rawValue: 0x26) }
    /// INVALID_KEY.
    @inlinable public static var invalidKey: Self { Self(rawValue: 0x27) }
    /// SHUTDOWN_INCOMPLETE.
    @inlinable public static var shutdownIncomplete: Self { Self(rawValue: 0x28) }

    /// The name in the ABI document, or the number for a status without one.
    public var description: String {
        Self.named.first { $0.status == self }?.name ?? "0x" + String(rawValue, radix: 16)
    }
}
