// A saved platform switched on: real commands go through the mailbox to the emulated firmware, and it is saved again.

import Hypervisor
import Machine
public import SNPArchitecture
import SecureProcessor

/// A platform between power on and power off. SNP is not initialised.
public final class FirmwareSession {
    private let host: Host
    private let secureProcessor: SecureProcessor
    private let page: SPA
    private var platform: SavedPlatform

    /// Switches a platform on.
    ///
    /// - Throws: why no host can be built for it
    public init(_ platform: SavedPlatform) throws(EmulatedHostError) {
        self.platform = platform
        let machine: Machine
        do throws(MachineError) {
            machine = try Machine(MachineConfiguration(product: platform.product, dramByteCount: 48 << 20))
        } catch { throw .machine(error) }
        secureProcessor = SecureProcessor(machine: machine, configuration: platform.firmware)
        machine.mailbox.connect(secureProcessor)
        do throws(Errno) { host = try Host(machine: machine) } catch { throw .host(error) }
        guard let block = host.allocator.allocate(order: 9) else { throw .host(.noMemory) }
        page = block.pfn.address
    }

    /// The platform as it would be found after a power cycle.
    public var saved: SavedPlatform {
        var saved = platform
        saved.update(from: secureProcessor.savedConfiguration)
        return saved
    }

    /// The identifier of the chip, masked or not.
    public var chipIdentifier: [UInt8] { secureProcessor.chipIdentifier }

    /// SNP_PLATFORM_STATUS.
    ///
    /// - Throws: what firmware refused
    public func status() throws(FirmwareRefusal) -> PlatformStatus {
        try send(PlatformStatusBuffer(status: page))
        return PlatformStatus(decoding: try read(PlatformStatus.byteCount, of: .snpPlatformStatus))
    }

    /// SNP_FEATURE_INFO of a sub-leaf.
    ///
    /// - Throws: what firmware refused
    public func featureInfo(_ subleaf: UInt32) throws(FirmwareRefusal) -> FeatureInfo {
        try send(FeatureInfoBuffer(subleaf: subleaf, output: page))
        return FeatureInfo(decoding: try read(FeatureInfo.byteCount, of: .snpFeatureInfo))
    }

    /// SNP_CONFIG.
    ///
    /// - Parameter reportedTCB: nil for the committed levels
    /// - Throws: what firmware refused
    public func configure(reportedTCB: TCBVersion?, maskChipID: Bool, maskChipKey: Bool) throws(FirmwareRefusal) {
        let tcb = reportedTCB ?? TCBVersion(rawValue: 0)
        try send(ConfigBuffer(reportedTCB: tcb, maskChipID: maskChipID, maskChipKey: maskChipKey))
    }

    /// SNP_COMMIT.
    ///
    /// - Throws: what firmware refused
    public func commit() throws(FirmwareRefusal) {
        try send(CommitBuffer(length: UInt32(CommitBuffer.byteCount)))
    }

    /// The largest image that `download` can hand over.
    public static let maximumImageByteCount = 2 << 20

    /// SNP_DOWNLOAD_FIRMWARE_EX.
    ///
    /// - Throws: more than `maximumImageByteCount` bytes, what firmware refused
    public func download(_ image: [UInt8], commits: Bool) throws(FirmwareRefusal) {
        guard image.count <= Self.maximumImageByteCount else {
            throw FirmwareRefusal(.snpDownloadFirmwareEx, .noMemory)
        }
        try write(image, for: .snpDownloadFirmwareEx)
        try send(
            DownloadFirmwareExBuffer(image: page, imageByteCount: UInt32(image.count), commits: commits))
    }

    /// SNP_VLEK_LOAD of a VLEK made from a seed, wrapped for this chip at its reported TCB.
    ///
    /// - Throws: what firmware refused
    public func loadVLEK(seed: UInt64) throws(FirmwareRefusal) {
        try write(secureProcessor.wrappedVLEK(seed: seed), for: .snpVLEKLoad)
        try send(VLEKLoadBuffer(wrapped: page))
        let saved = saved
        platform.vlek = VLEKOrigin(seed: seed, tcb: saved.reportedTCB ?? saved.committedTCB)
    }

    private func send<Buffer: CommandBuffer>(_ buffer: Buffer) throws(FirmwareRefusal) {
        do throws(FirmwareError) { try host.firmware.send(buffer) } catch {
            throw FirmwareRefusal(Buffer.command, error)
        }
    }

    private func read(_ count: Int, of command: FirmwareCommand) throws(FirmwareRefusal) -> [UInt8] {
        do throws(Errno) { return try host.read(page, count: count) } catch {
            throw FirmwareRefusal(command, .noMemory)
        }
    }

    private func write(_ bytes: [UInt8], for command: FirmwareCommand) throws(FirmwareRefusal) {
        do throws(Errno) { try host.write(bytes, at: page) } catch { throw FirmwareRefusal(command, .noMemory) }
    }
}

/// A command that did not succeed.
public struct FirmwareRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The command.
    public var command: FirmwareCommand
    /// What firmware answered; nil if the command could not be sent or was not answered.
    public var status: FirmwareStatus?
    private var reason: String

    init(_ command: FirmwareCommand, _ error: FirmwareError) {
        self.command = command
        switch error {
        case .status(let status):
            let number = String(status.rawValue, radix: 16, uppercase: true)
            self.status = status
            reason = "is refused: \(status) (0x\(number.count < 2 ? "0" : "")\(number))."
        case .timedOut, .dead: reason = "is not answered."
        case .noMemory: reason = "needs more memory than the emulated host has. Give it a smaller file."
        case .pageState(let status): reason = "cannot be sent: \(status)."
        case .notReclaimed(let status): reason = "has lost pages to firmware: \(status)."
        }
    }

    /// One line for the user.
    public var description: String { "\(command) \(reason)" }
}
