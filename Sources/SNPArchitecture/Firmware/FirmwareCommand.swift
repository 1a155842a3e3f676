// Command identifiers of the SEV-SNP firmware ABI.

/// The identifier of a firmware command. An open set: what is not known is refused with INVALID_COMMAND.
///
/// - Spec: FWABI 56860, "SNP commands"
@frozen public struct FirmwareCommand: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The identifier, as written to bits 23:16 of the command register.
    public var rawValue: UInt16
    /// Makes a command from its identifier.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Each SNP command that has a name: identifier, name, size of its buffer in bytes (0 where it has none).
    public static let named: [(command: FirmwareCommand, name: String, bufferSize: Int)] = [
        (.snpInit, "SNP_INIT", 0), (.snpShutdown, "SNP_SHUTDOWN", 0),
        (.snpPlatformStatus, "SNP_PLATFORM_STATUS", 0x08), (.snpDFFlush, "SNP_DF_FLUSH", 0),
        (.snpInitEx, "SNP_INIT_EX", 0x40), (.snpShutdownEx, "SNP_SHUTDOWN_EX", 0x08),
        (.snpDecommission, "SNP_DECOMMISSION", 0x08), (.snpActivate, "SNP_ACTIVATE", 0x10),
        (.snpGuestStatus, "SNP_GUEST_STATUS", 0x10), (.snpGCTXCreate, "SNP_GCTX_CREATE", 0x08),
        (.snpGuestRequest, "SNP_GUEST_REQUEST", 0x18), (.snpActivateEx, "SNP_ACTIVATE_EX", 0x20),
        (.snpLaunchStart, "SNP_LAUNCH_START", 0x30), (.snpLaunchUpdate, "SNP_LAUNCH_UPDATE", 0x20),
        (.snpLaunchFinish, "SNP_LAUNCH_FINISH", 0x40), (.snpDbgDecrypt, "SNP_DBG_DECRYPT", 0x18),
        (.snpDbgEncrypt, "SNP_DBG_ENCRYPT", 0x18), (.snpVerifyMitigation, "SNP_VERIFY_MITIGATION", 0x40),
        (.snpPageSwapOut, "SNP_PAGE_SWAP_OUT", 0x30), (.snpPageSwapIn, "SNP_PAGE_SWAP_IN", 0x30),
        (.snpPageMove, "SNP_PAGE_MOVE", 0x20), (.snpPageMDInit, "SNP_PAGE_MD_INIT", 0x10),
        (.snpPageSetState, "SNP_PAGE_SET_STATE", 0x10), (.snpPageReclaim, "SNP_PAGE_RECLAIM", 0x08),
        (.snpPageUnsmash, "SNP_PAGE_UNSMASH", 0x08), (.snpConfig, "SNP_CONFIG", 0x40),
        (.snpDownloadFirmwareEx, "SNP_DOWNLOAD_FIRMWARE_EX", 0x18), (.snpCommit, "SNP_COMMIT", 0x04),
        (.snpVLEKLoad, "SNP_VLEK_LOAD", 0x10), (.snpFeatureInfo, "SNP_FEATURE_INFO", 0x10),
    ]

    /// SNP_INIT.
    @inlinable public static var snpInit: Self { Self(rawValue: 0x81) }
    /// SNP_SHUTDOWN.
    @inlinable public static var snpShutdown: Self { Self(rawValue: 0x82) }
    /// SNP_PLATFORM_STATUS.
    @inlinable public static var snpPlatformStatus: Self { Self(rawValue: 0x83) }
    /// SNP_DF_FLUSH.
    @inlinable public static var snpDFFlush: Self { Self(rawValue: 0x84) }
    /// SNP_INIT_EX.
    @inlinable public static var snpInitEx: Self { Self(rawValue: 0x85) }
    /// SNP_SHUTDOWN_EX.
    @inlinable public static var snpShutdownEx: Self { Self(rawValue: 0x86) }
    /// SNP_DECOMMISSION.
    @inlinable public static var snpDecommission: Self { Self(rawValue: 0x90) }
    /// SNP_ACTIVATE.
    @inlinable public static var snpActivate: Self { Self(rawValue: 0x91) }
    /// SNP_GUEST_STATUS.
    @inlinable public static var snpGuestStatus: Self { Self(rawValue: 0x92) }
    /// SNP_GCTX_CREATE.
    @inlinable public static var snpGCTXCreate: Self { Self(rawValue: 0x93) }
    /// SNP_GUEST_REQUEST.
    @inlinable public static var snpGuestRequest: Self { Self(rawValue: 0x94) }
    /// SNP_ACTIVATE_EX.
    @inlinable public static var snpActivateEx: Self { Self(rawValue: 0x95) }
    /// SNP_LAUNCH_START.
    @inlinable public static var snpLaunchStart: Self { Self(rawValue: 0xa0) }
    /// SNP_LAUNCH_UPDATE.
    @inlinable public static var snpLaunchUpdate: Self { Self(rawValue: 0xa1) }
    /// SNP_LAUNCH_FINISH.
    @inlinable public static var snpLaunchFinish: Self { Self(rawValue: 0xa2) }
    /// SNP_DBG_DECRYPT.
    @inlinable public static var snpDbgDecrypt: Self { Self(rawValue: 0xb0) }
    /// SNP_DBG_ENCRYPT.
    @inlinable public static var snpDbgEncrypt: Self { Self(rawValue: 0xb1) }
    /// SNP_VERIFY_MITIGATION.
    @inlinable public static var snpVerifyMitigation: Self { Self(rawValue: 0xb2) }
    /// SNP_PAGE_SWAP_OUT.
    @inlinable public static var snpPageSwapOut: Self { Self(rawValue: 0xc0) }
    /// SNP_PAGE_SWAP_IN.
    @inlinable public static var snpPageSwapIn: Self { Self(rawValue: 0xc1) }
    /// SNP_PAGE_MOVE.
    @inlinable public static var snpPageMove: Self { Self(rawValue: 0xc2) }
    /// SNP_PAGE_MD_INIT.
    @inlinable public static var snpPageMDInit: Self { Self(rawValue: 0xc3) }
    /// SNP_PAGE_SET_STATE.
    @inlinable public static var snpPageSetState: Self { Self(rawValue: 0xc6) }
    /// SNP_PAGE_RECLAIM.
    @inlinable public static var snpPageReclaim: Self { Self(rawValue: 0xc7) }
    /// SNP_PAGE_UNSMASH.
    @inlinable public static var snpPageUnsmash: Self { Self(rawValue: 0xc8) }
    /// SNP_CONFIG.
    @inlinable public static var snpConfig: Self { Self(rawValue: 0xc9) }
    /// SNP_DOWNLOAD_FIRMWARE_EX.
    @inlinable public static var snpDownloadFirmwareEx: Self { Self(rawValue: 0xca) }
    /// SNP_COMMIT.
    @inlinable public static var snpCommit: Self { Self(rawValue: 0xcb) }
    /// SNP_VLEK_LOAD.
    @inlinable public static var snpVLEKLoad: Self { Self(rawValue: 0xcd) }
    /// SNP_FEATURE_INFO.
    @inlinable public static var snpFeatureInfo: Self { Self(rawValue: 0xce) }

    /// The name in the ABI document, or the identifier for a command without one.
    public var description: String {
        (Self.named + Self.legacyNamed).first { $0.command == self }?.name ?? "0x" + String(rawValue, radix: 16)
    }
}
