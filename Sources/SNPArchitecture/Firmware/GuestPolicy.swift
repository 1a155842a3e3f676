// The guest policy: what the guest's owner lets the host and the platform do. Firmware holds it for the guest's life.

/// A guest policy. An open set: bits without a meaning are kept, so that firmware can refuse them.
///
/// - Spec: FWABI 56860, "Guest policy"
@frozen public struct GuestPolicy: OptionSet, Hashable, Sendable {
    /// The 64 bits.
    public var rawValue: UInt64
    /// Makes a policy from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// ABI_MINOR, bits 7:0: the least minor version of the firmware ABI.
    @inlinable public var abiMinor: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue) }
        set { rawValue = (rawValue & ~0xff) | UInt64(newValue) }
    }
    /// ABI_MAJOR, bits 15:8: the least major version of the firmware ABI.
    @inlinable public var abiMajor: UInt8 {
        get { UInt8(truncatingIfNeeded: rawValue >> 8) }
        set { rawValue = (rawValue & ~0xff00) | UInt64(newValue) << 8 }
    }

    /// SMT, bit 16: the host may run with simultaneous multithreading.
    @inlinable public static var smtAllowed: Self { Self(rawValue: 1 << 16) }
    /// Bit 17: reserved, must be one.
    @inlinable public static var mustBeOne: Self { Self(rawValue: 1 << 17) }
    /// MIGRATE_MA, bit 18: a migration agent may be bound.
    @inlinable public static var migrationAgentAllowed: Self { Self(rawValue: 1 << 18) }
    /// DEBUG, bit 19: the host may decrypt and encrypt pages.
    @inlinable public static var debugAllowed: Self { Self(rawValue: 1 << 19) }
    /// SINGLE_SOCKET, bit 20: the guest may be active on one socket only.
    @inlinable public static var singleSocket: Self { Self(rawValue: 1 << 20) }
    /// CXL_ALLOW, bit 21, newer than firmware 1.55.
    @inlinable public static var cxlAllowed: Self { Self(rawValue: 1 << 21) }
    /// MEM_AES_256_XTS, bit 22, newer than firmware 1.55.
    @inlinable public static var memoryAES256XTS: Self { Self(rawValue: 1 << 22) }
    /// RAPL_DIS, bit 23, newer than firmware 1.55.
    @inlinable public static var raplDisabled: Self { Self(rawValue: 1 << 23) }
    /// CIPHERTEXT_HIDING, bit 24, newer than firmware 1.55.
    @inlinable public static var ciphertextHiding: Self { Self(rawValue: 1 << 24) }
    /// PAGE_SWAP_DISABLE, bit 25, newer than firmware 1.55.
    @inlinable public static var pageSwapDisabled: Self { Self(rawValue: 1 << 25) }

    /// The reserved bits, 63:26.
    @inlinable public static var reserved: Self { Self(rawValue: ~0x3ff_ffff) }
    /// The bits that firmware 1.55 does not know, 63:21.
    @inlinable public static var reservedIn155: Self { Self(rawValue: ~0x1f_ffff) }
    /// What KVM's users pass by default: SMT allowed, no least version, no debugging (0x30000).
    @inlinable public static var standard: Self { [.smtAllowed, .mustBeOne] }
}
