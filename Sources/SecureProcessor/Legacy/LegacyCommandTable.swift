// The flat list of legacy SEV commands: identifier, size and kind of the buffer, handler.

internal import SNPArchitecture

/// The legacy commands.
enum LegacyCommandTable {
    /// What firmware does with the buffer.
    enum Buffer {
        /// Copies it in.
        case read
        /// Copies it in and writes it back.
        case written
        /// As `written`; while SNP is INIT its pages must be firmware's.
        case writtenAndChecked
    }

    /// A handler: it gets the buffer's bytes, may change them, and throws the first check that fails.
    typealias Handler = @Sendable (inout Firmware, inout CommandBytes) throws(FirmwareStatus) -> Void

    struct Row: Sendable {
        var command: FirmwareCommand
        var bufferSize: Int
        var buffer: Buffer
        var run: Handler
        init(_ command: FirmwareCommand, _ buffer: Buffer = .read, _ run: @escaping Handler) {
            self.command = command
            bufferSize = FirmwareCommand.legacyNamed.first { $0.command == command }?.bufferSize ?? 0
            self.buffer = buffer
            self.run = run
        }
    }

    /// The commands of the platform.
    private static let platform: [Row] = [
        Row(.sevInit) { firmware, bytes throws(FirmwareStatus) in
            try firmware.sevInit(SEVInitBuffer(bytes: bytes))
        },
        Row(.sevInitEx) { firmware, bytes throws(FirmwareStatus) in
            try firmware.sevInitEx(SEVInitExBuffer(bytes: bytes))
        },
        Row(.sevShutdown) { firmware, _ throws(FirmwareStatus) in firmware.sevShutdown() },
        Row(.sevPlatformReset) { firmware, _ throws(FirmwareStatus) in try firmware.sevPlatformReset() },
        Row(.sevDFFlush) { firmware, _ throws(FirmwareStatus) in try firmware.sevDFFlush() },
        Row(.sevDownloadFirmware) { firmware, bytes throws(FirmwareStatus) in
            try firmware.sevDownloadFirmware(SEVDownloadFirmwareBuffer(bytes: bytes))
        },
        Row(.sevPlatformStatus, .writtenAndChecked) { firmware, bytes throws(FirmwareStatus) in
            var buffer = SEVPlatformStatusBuffer(bytes: bytes)
            firmware.sevPlatformStatus(&buffer)
            bytes = buffer.bytes
        },
        Row(.sevGetID, .writtenAndChecked) { firmware, bytes throws(FirmwareStatus) in
            var buffer = SEVGetIDBuffer(bytes: bytes)
            defer { bytes = buffer.bytes }
            try firmware.sevGetID(&buffer)
        },
        Row(.sevPEKCSR, .writtenAndChecked) { firmware, bytes throws(FirmwareStatus) in
            var buffer = SEVCertificateRequestBuffer(bytes: bytes)
            defer { bytes = buffer.bytes }
            try firmware.sevPEKCSR(&buffer)
        },
        Row(.sevPDHCertExport, .writtenAndChecked) { firmware, bytes throws(FirmwareStatus) in
            var buffer = SEVCertificateExportBuffer(bytes: bytes)
            defer { bytes = buffer.bytes }
            try firmware.sevPDHCertExport(&buffer)
        },
        Row(.sevPEKGen, .read, noKeys), Row(.sevPDHGen, .read, noKeys), Row(.sevPEKCertImport, .read, noKeys),
    ]

    /// The commands of legacy guests.
    ///
    /// - Deviates: there are no legacy guests. What would make one is UNSUPPORTED; what names one is INVALID_GUEST
    private static let guests: [Row] = FirmwareCommand.legacyNamed.filter { $0.command.rawValue >= 0x20 }.map { named in
        let makesGuest = [.sevLaunchStart, .sevReceiveStart].contains(named.command)
        return Row(named.command, writtenGuestBuffers.contains(named.command) ? .writtenAndChecked : .read) {
            firmware, _ throws(FirmwareStatus) in
            try firmware.checkLegacyIsInitialized()
            throw makesGuest ? .unsupported : .invalidGuest
        }
    }

    private static let writtenGuestBuffers: [FirmwareCommand] = [
        .sevGuestStatus, .sevLaunchStart, .sevLaunchMeasure, .sevSendStart, .sevSendUpdateData, .sevSendUpdateVMSA,
        .sevReceiveStart, .sevSwapOut,
    ]

    /// - Deviates: the platform has no keys of its own for legacy guests: making or importing them is UNSUPPORTED
    private static let noKeys: Handler = { firmware, _ throws(FirmwareStatus) in
        try firmware.checkLegacyIsInitialized()
        throw .unsupported
    }

    static let rows = platform + guests

    /// Rows by identifier, which is below 0x80.
    private static let byIdentifier: [Row?] = {
        var table = [Row?](repeating: nil, count: 128)
        for row in rows { table[Int(row.command.rawValue)] = row }
        return table
    }()

    static func row(for command: FirmwareCommand) -> Row? {
        command.rawValue < 128 ? byIdentifier[Int(command.rawValue)] : nil
    }
}
