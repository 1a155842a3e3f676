// What SNP_PLATFORM_STATUS reports.

/// The state of the SNP platform. An open set.
@frozen public struct PlatformState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt8
    /// Makes a state from its number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// UNINIT.
    @inlinable public static var uninitialized: Self { Self(rawValue: 0) }
    /// INIT.
    @inlinable public static var initialized: Self { Self(rawValue: 1) }
    /// The name in the ABI document, or the number.
    public var description: String { rawValue < 2 ? ["UNINIT", "INIT"][Int(rawValue)] : String(rawValue) }
}

/// The status of the platform.
///
/// - Spec: FWABI 56860, STRUCT_PLATFORM_STATUS
public struct PlatformStatus: FirmwareLayout, Hashable, Sendable {
    /// 0x20.
    public static let byteCount = 0x20
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("API_MAJOR", at: 0x00, byteCount: 1),
        .integer("API_MINOR", at: 0x01, byteCount: 1),
        .integer("STATE", at: 0x02, byteCount: 1),
        .integer("IS_RMP_INIT", at: 0x03, byteCount: 1, reserved: 0xf4),
        .integer("BUILD", at: 0x04, byteCount: 4),
        .integer("FEATURES", at: 0x08, byteCount: 4, reserved: 0xffff_ff80),
        .integer("GUEST_COUNT", at: 0x0c, byteCount: 4),
        .integer("TCB_VERSION", at: 0x10, byteCount: 8),
        .integer("REPORTED_TCB", at: 0x18, byteCount: 8),
    ]
    /// The fourth byte: flags about the RMP.
    @frozen public struct RMPFlags: OptionSet, Hashable, Sendable {
        /// The byte.
        public var rawValue: UInt8
        /// Makes flags.
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// IS_RMP_INIT, bit 0.
        @inlinable public static var rmpIsInitialized: Self { Self(rawValue: 1) }
        /// ALIAS_CHECK_COMPLETE, bit 1, newer than firmware 1.55.
        @inlinable public static var aliasCheckComplete: Self { Self(rawValue: 2) }
        /// TIO_EN, bit 3, newer than firmware 1.55.
        @inlinable public static var trustedIO: Self { Self(rawValue: 8) }
    }
    /// The features in force.
    @frozen public struct Features: OptionSet, Hashable, Sendable {
        /// The bits.
        public var rawValue: UInt32
        /// Makes flags.
        @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// MASK_CHIP_ID, bit 0.
        @inlinable public static var maskChipID: Self { Self(rawValue: 1 << 0) }
        /// MASK_CHIP_KEY, bit 1.
        @inlinable public static var maskChipKey: Self { Self(rawValue: 1 << 1) }
        /// VLEK_EN, bit 2.
        @inlinable public static var vlekEnabled: Self { Self(rawValue: 1 << 2) }
        /// FEATURE_INFO, bit 3: the command exists.
        @inlinable public static var featureInfo: Self { Self(rawValue: 1 << 3) }
        /// RAPL_DIS, bit 4, newer than firmware 1.55.
        @inlinable public static var raplDisabled: Self { Self(rawValue: 1 << 4) }
        /// CIPHERTEXT_HIDING_CAP, bit 5, newer than firmware 1.55.
        @inlinable public static var ciphertextHidingCapable: Self { Self(rawValue: 1 << 5) }
        /// CIPHERTEXT_HIDING_EN, bit 6, newer than firmware 1.55.
        @inlinable public static var ciphertextHidingEnabled: Self { Self(rawValue: 1 << 6) }
    }

    /// API_MAJOR.
    public var apiMajor: UInt8
    /// API_MINOR.
    public var apiMinor: UInt8
    /// STATE.
    public var state: PlatformState
    /// Flags about the RMP.
    public var rmpFlags: RMPFlags
    /// BUILD.
    public var build: UInt32
    /// The features in force.
    public var features: Features
    /// GUEST_COUNT: guests that have started their launch and are not decommissioned.
    public var guestCount: UInt32
    /// The TCB that runs.
    public var currentTCB: TCBVersion
    /// The TCB that reports show.
    public var reportedTCB: TCBVersion

    /// Makes a status.
    public init(
        apiMajor: UInt8, apiMinor: UInt8, state: PlatformState, rmpFlags: RMPFlags, build: UInt32, features: Features,
        guestCount: UInt32, currentTCB: TCBVersion, reportedTCB: TCBVersion
    ) {
        self.apiMajor = apiMajor
        self.apiMinor = apiMinor
        self.state = state
        self.rmpFlags = rmpFlags
        self.build = build
        self.features = features
        self.guestCount = guestCount
        self.currentTCB = currentTCB
        self.reportedTCB = reportedTCB
    }

    /// Reads a status.
    public init(decoding bytes: [UInt8]) {
        self.init(
            apiMajor: bytes[0], apiMinor: bytes[1], state: PlatformState(rawValue: bytes[2]),
            rmpFlags: RMPFlags(rawValue: bytes[3]), build: bytes.integer(at: 4),
            features: Features(rawValue: bytes.integer(at: 8)), guestCount: bytes.integer(at: 0xc),
            currentTCB: TCBVersion(rawValue: bytes.integer(at: 0x10)),
            reportedTCB: TCBVersion(rawValue: bytes.integer(at: 0x18)))
    }

    /// The status as firmware writes it.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes[0] = apiMajor
        bytes[1] = apiMinor
        bytes[2] = state.rawValue
        bytes[3] = rmpFlags.rawValue
        bytes.store(build, at: 4)
        bytes.store(features.rawValue, at: 8)
        bytes.store(guestCount, at: 0xc)
        bytes.store(currentTCB.rawValue, at: 0x10)
        bytes.store(reportedTCB.rawValue, at: 0x18)
        return bytes
    }
}
