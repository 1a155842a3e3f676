// Identifiers of the legacy SEV commands, which share the mailbox with the SNP commands.

extension FirmwareCommand {
    /// Each legacy command that has a name: identifier, name, size of its buffer in bytes (0 where it has none).
    ///
    /// - Spec: SEV API 55766, "Command identifiers"
    public static let legacyNamed: [(command: FirmwareCommand, name: String, bufferSize: Int)] = [
        (.sevInit, "SEV_INIT", 0x14), (.sevShutdown, "SEV_SHUTDOWN", 0),
        (.sevPlatformReset, "SEV_PLATFORM_RESET", 0), (.sevPlatformStatus, "SEV_PLATFORM_STATUS", 0x0c),
        (.sevPEKGen, "SEV_PEK_GEN", 0), (.sevPEKCSR, "SEV_PEK_CSR", 0x0c),
        (.sevPEKCertImport, "SEV_PEK_CERT_IMPORT", 0x1c), (.sevPDHCertExport, "SEV_PDH_CERT_EXPORT", 0x1c),
        (.sevPDHGen, "SEV_PDH_GEN", 0), (.sevDFFlush, "SEV_DF_FLUSH", 0),
        (.sevDownloadFirmware, "SEV_DOWNLOAD_FIRMWARE", 0x0c), (.sevGetID, "SEV_GET_ID", 0x0c),
        (.sevInitEx, "SEV_INIT_EX", 0x24), (Self(rawValue: 0x20), "SEV_DECOMMISSION", 0x04),
        (Self(rawValue: 0x21), "SEV_ACTIVATE", 0x08), (Self(rawValue: 0x22), "SEV_DEACTIVATE", 0x04),
        (.sevGuestStatus, "SEV_GUEST_STATUS", 0x0d), (Self(rawValue: 0x24), "SEV_COPY", 0x1c),
        (Self(rawValue: 0x25), "SEV_ACTIVATE_EX", 0x18), (.sevLaunchStart, "SEV_LAUNCH_START", 0x24),
        (Self(rawValue: 0x31), "SEV_LAUNCH_UPDATE_DATA", 0x14),
        (Self(rawValue: 0x32), "SEV_LAUNCH_UPDATE_VMSA", 0x14), (.sevLaunchMeasure, "SEV_LAUNCH_MEASURE", 0x14),
        (Self(rawValue: 0x34), "SEV_LAUNCH_UPDATE_SECRET", 0x34), (Self(rawValue: 0x35), "SEV_LAUNCH_FINISH", 0x04),
        (Self(rawValue: 0x36), "SEV_ATTESTATION", 0x24), (.sevSendStart, "SEV_SEND_START", 0x44),
        (.sevSendUpdateData, "SEV_SEND_UPDATE_DATA", 0x34), (.sevSendUpdateVMSA, "SEV_SEND_UPDATE_VMSA", 0x34),
        (Self(rawValue: 0x43), "SEV_SEND_FINISH", 0x04), (Self(rawValue: 0x44), "SEV_SEND_CANCEL", 0x04),
        (.sevReceiveStart, "SEV_RECEIVE_START", 0x24), (Self(rawValue: 0x51), "SEV_RECEIVE_UPDATE_DATA", 0x34),
        (Self(rawValue: 0x52), "SEV_RECEIVE_UPDATE_VMSA", 0x34), (Self(rawValue: 0x53), "SEV_RECEIVE_FINISH", 0x04),
        (Self(rawValue: 0x60), "SEV_DBG_DECRYPT", 0x1c), (Self(rawValue: 0x61), "SEV_DBG_ENCRYPT", 0x1c),
        (.sevSwapOut, "SEV_SWAP_OUT", 0x34), (Self(rawValue: 0x71), "SEV_SWAP_IN", 0x34),
    ]

    /// Legacy INIT.
    @inlinable public static var sevInit: Self { Self(rawValue: 0x01) }
    /// Legacy SHUTDOWN.
    @inlinable public static var sevShutdown: Self { Self(rawValue: 0x02) }
    /// Legacy PLATFORM_RESET.
    @inlinable public static var sevPlatformReset: Self { Self(rawValue: 0x03) }
    /// Legacy PLATFORM_STATUS.
    @inlinable public static var sevPlatformStatus: Self { Self(rawValue: 0x04) }
    /// Legacy PEK_GEN.
    @inlinable public static var sevPEKGen: Self { Self(rawValue: 0x05) }
    /// Legacy PEK_CSR.
    @inlinable public static var sevPEKCSR: Self { Self(rawValue: 0x06) }
    /// Legacy PEK_CERT_IMPORT.
    @inlinable public static var sevPEKCertImport: Self { Self(rawValue: 0x07) }
    /// Legacy PDH_CERT_EXPORT.
    @inlinable public static var sevPDHCertExport: Self { Self(rawValue: 0x08) }
    /// Legacy PDH_GEN.
    @inlinable public static var sevPDHGen: Self { Self(rawValue: 0x09) }
    /// Legacy DF_FLUSH.
    @inlinable public static var sevDFFlush: Self { Self(rawValue: 0x0a) }
    /// Legacy DOWNLOAD_FIRMWARE.
    @inlinable public static var sevDownloadFirmware: Self { Self(rawValue: 0x0b) }
    /// Legacy GET_ID.
    @inlinable public static var sevGetID: Self { Self(rawValue: 0x0c) }
    /// Legacy INIT_EX.
    @inlinable public static var sevInitEx: Self { Self(rawValue: 0x0d) }
    /// Legacy GUEST_STATUS.
    @inlinable public static var sevGuestStatus: Self { Self(rawValue: 0x23) }
    /// Legacy LAUNCH_START.
    @inlinable public static var sevLaunchStart: Self { Self(rawValue: 0x30) }
    /// Legacy LAUNCH_MEASURE.
    @inlinable public static var sevLaunchMeasure: Self { Self(rawValue: 0x33) }
    /// Legacy SEND_START.
    @inlinable public static var sevSendStart: Self { Self(rawValue: 0x40) }
    /// Legacy SEND_UPDATE_DATA.
    @inlinable public static var sevSendUpdateData: Self { Self(rawValue: 0x41) }
    /// Legacy SEND_UPDATE_VMSA.
    @inlinable public static var sevSendUpdateVMSA: Self { Self(rawValue: 0x42) }
    /// Legacy RECEIVE_START.
    @inlinable public static var sevReceiveStart: Self { Self(rawValue: 0x50) }
    /// Legacy SWAP_OUT.
    @inlinable public static var sevSwapOut: Self { Self(rawValue: 0x70) }
}
