// The flat list of SNP commands: identifier, size of the buffer, handler. A command whose feature this version of firmware
// lacks answers INVALID_COMMAND, as an unknown identifier does.

internal import SNPArchitecture

/// The commands.
enum CommandTable {
    /// A handler: it gets the buffer's bytes as they were copied in, and throws the first check that fails.
    typealias Handler = @Sendable (inout Firmware, CommandBytes) throws(FirmwareStatus) -> Void

    struct Row: Sendable {
        var command: FirmwareCommand
        var bufferSize: Int
        /// The features without which the command does not exist.
        var requires: FirmwareFeatures
        var run: Handler
        init(
            _ command: FirmwareCommand, _ bufferSize: Int, requires: FirmwareFeatures = [], _ run: @escaping Handler
        ) {
            self.command = command
            self.bufferSize = bufferSize
            self.requires = requires
            self.run = run
        }
    }

    static let rows: [Row] = [
        Row(.snpInit, 0) { firmware, _ throws(FirmwareStatus) in
            try firmware.snpInit()
        },
        Row(.snpShutdown, 0) { firmware, _ throws(FirmwareStatus) in
            try firmware.snpShutdown()
        },
        Row(.snpPlatformStatus, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPlatformStatus(PlatformStatusBuffer(bytes: bytes))
        },
        Row(.snpDFFlush, 0) { firmware, _ throws(FirmwareStatus) in
            try firmware.snpDFFlush()
        },
        Row(.snpInitEx, 0x40) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpInitEx(InitExBuffer(bytes: bytes))
        },
        Row(.snpShutdownEx, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpShutdownEx(ShutdownExBuffer(bytes: bytes))
        },
        Row(.snpDecommission, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpDecommission(DecommissionBuffer(bytes: bytes))
        },
        Row(.snpActivate, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpActivate(ActivateBuffer(bytes: bytes))
        },
        Row(.snpGuestStatus, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpGuestStatus(GuestStatusBuffer(bytes: bytes))
        },
        Row(.snpGCTXCreate, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpGCTXCreate(GCTXCreateBuffer(bytes: bytes))
        },
        Row(.snpGuestRequest, 0x18) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpGuestRequest(GuestRequestBuffer(bytes: bytes))
        },
        Row(.snpActivateEx, 0x20) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpActivateEx(ActivateExBuffer(bytes: bytes))
        },
        Row(.snpLaunchStart, 0x30) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpLaunchStart(LaunchStartBuffer(bytes: bytes))
        },
        Row(.snpLaunchUpdate, 0x20) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpLaunchUpdate(LaunchUpdateBuffer(bytes: bytes))
        },
        Row(.snpLaunchFinish, 0x40) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpLaunchFinish(LaunchFinishBuffer(bytes: bytes))
        },
        Row(.snpDbgDecrypt, 0x18) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpDbgDecrypt(DebugDecryptBuffer(bytes: bytes))
        },
        Row(.snpDbgEncrypt, 0x18) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpDbgEncrypt(DebugEncryptBuffer(bytes: bytes))
        },
        Row(.snpVerifyMitigation, 0x40, requires: .verifyMitigation) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpVerifyMitigation(VerifyMitigationBuffer(bytes: bytes))
        },
        Row(.snpPageSwapOut, 0x30) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageSwapOut(PageSwapOutBuffer(bytes: bytes))
        },
        Row(.snpPageSwapIn, 0x30) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageSwapIn(PageSwapInBuffer(bytes: bytes))
        },
        Row(.snpPageMove, 0x20) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageMove(PageMoveBuffer(bytes: bytes))
        },
        Row(.snpPageMDInit, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageMDInit(PageMDInitBuffer(bytes: bytes))
        },
        Row(.snpPageSetState, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageSetState(PageSetStateBuffer(bytes: bytes))
        },
        Row(.snpPageReclaim, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageReclaim(PageReclaimBuffer(bytes: bytes))
        },
        Row(.snpPageUnsmash, 0x08) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpPageUnsmash(PageUnsmashBuffer(bytes: bytes))
        },
        Row(.snpConfig, 0x40) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpConfig(ConfigBuffer(bytes: bytes))
        },
        Row(.snpDownloadFirmwareEx, 0x18) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpDownloadFirmwareEx(DownloadFirmwareExBuffer(bytes: bytes))
        },
        Row(.snpCommit, 0x04) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpCommit(CommitBuffer(bytes: bytes))
        },
        Row(.snpVLEKLoad, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpVLEKLoad(VLEKLoadBuffer(bytes: bytes))
        },
        Row(.snpFeatureInfo, 0x10) { firmware, bytes throws(FirmwareStatus) in
            try firmware.snpFeatureInfo(FeatureInfoBuffer(bytes: bytes))
        },
    ]

    /// Rows by identifier.
    private static let byIdentifier: [Row?] = {
        var table = [Row?](repeating: nil, count: 256)
        for row in rows { table[Int(row.command.rawValue)] = row }
        return table
    }()

    static func row(for command: FirmwareCommand) -> Row? {
        command.rawValue < 256 ? byIdentifier[Int(command.rawValue)] : nil
    }
}
