// The small typed fields of an attestation report: version, platform information, signing key, firmware versions, signature.

/// The versions of the report that are known. Any other is refused rather than guessed at.
public enum AttestationReportVersion: UInt32, CaseIterable, Sendable {
    /// Firmware 1.55 and before.
    case v2 = 2
    /// Adds the processor's family, model and stepping.
    case v3 = 3
    /// Read as version 3.
    case v4 = 4
    /// Adds the mitigation vectors.
    case v5 = 5

    /// Whether the report names the processor.
    public var hasProcessor: Bool { self != .v2 }
    /// Whether the report has mitigation vectors.
    public var hasMitigationVectors: Bool { self == .v5 }
}

/// PLATFORM_INFO. An open set: bits without a meaning are kept.
@frozen public struct ReportPlatformInfo: OptionSet, Hashable, Sendable {
    /// The 64 bits.
    public var rawValue: UInt64
    /// Makes a set from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// SMT_EN: simultaneous multithreading is on.
    @inlinable public static var smtEnabled: Self { Self(rawValue: 1 << 0) }
    /// TSME_EN: transparent memory encryption is on.
    @inlinable public static var tsmeEnabled: Self { Self(rawValue: 1 << 1) }
    /// ECC_EN: memory has error correction.
    @inlinable public static var eccEnabled: Self { Self(rawValue: 1 << 2) }
    /// RAPL_DIS: the running average power limit interface is off.
    @inlinable public static var raplDisabled: Self { Self(rawValue: 1 << 3) }
    /// CIPHERTEXT_HIDING_DRAM_EN: hosts do not see the ciphertext of guests.
    @inlinable public static var ciphertextHiding: Self { Self(rawValue: 1 << 4) }
    /// ALIAS_CHECK_COMPLETE: no aliased memory was found.
    @inlinable public static var aliasCheckComplete: Self { Self(rawValue: 1 << 5) }
    /// TIO_EN: trusted I/O is on.
    @inlinable public static var trustedIO: Self { Self(rawValue: 1 << 7) }
}

/// SIGNING_KEY: which key signed the report.
public enum ReportSigningKey: UInt32, CaseIterable, Sendable {
    /// The chip's own key.
    case vcek = 0
    /// The key that the host's owner loaded.
    case vlek = 1
    /// Not signed.
    case none = 7
}

/// A version of the firmware, in the order of the report's bytes.
public struct ReportedFirmwareVersion: Hashable, Sendable {
    /// The build.
    public var build: UInt8
    /// The ABI's minor version.
    public var minor: UInt8
    /// The ABI's major version.
    public var major: UInt8
    /// Makes a version.
    public init(build: UInt8, minor: UInt8, major: UInt8) {
        self.build = build
        self.minor = minor
        self.major = major
    }
}

extension FirmwareSignature {
    /// The signature of whoever did not sign: zeros.
    public static var none: Self { Self(decoding: [UInt8](repeating: 0, count: byteCount)) }
    /// Makes a P-384 signature from r and s as 48 big-endian bytes each, one after the other.
    public init(p384BigEndian bytes: [UInt8]) {
        self.init(p384BigEndianR: Array(bytes.prefix(48)), s: Array(bytes.dropFirst(48).prefix(48)))
    }
    /// r and s as 48 big-endian bytes each, or nil if one of them has more than 384 bits.
    public var p384BigEndian: [UInt8]? {
        guard r.count == 72, s.count == 72 else { return nil }
        guard r[48...].allSatisfy({ $0 == 0 }), s[48...].allSatisfy({ $0 == 0 }) else { return nil }
        return r[..<48].reversed() + s[..<48].reversed()
    }
}
