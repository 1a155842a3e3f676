// The calls of /dev/sev for user space: the platform's status, configuration and keys, with errnos.

internal import Machine
public import SNPArchitecture
internal import Synchronization

/// How a device file was opened.
public enum DeviceAccess: Sendable {
    /// For reading alone.
    case read
    /// For writing too.
    case readWrite
}

/// An open file of /dev/sev.
///
/// - Spec: patches 22, 25, 26 and 27 of the series; Linux: `sev_ioctl()`, Documentation/virt/coco/sev-guest
/// - Deviates: SNP calls on a host where firmware is not initialised for SNP are EINVAL; newer kernels initialise it for the
///   time of the call. That VLEK_LOAD and the calls that change keys need write access is unconfirmed
public final class PlatformDevice: Sendable {
    let host: Host
    private let access: DeviceAccess
    private let isOpen = Mutex(true)

    /// Opens the device.
    public init(host: Host, _ access: DeviceAccess = .readWrite) {
        self.host = host
        self.access = access
    }

    /// Closes the file: later calls get EBADF.
    public func close() { isOpen.withLock { $0 = false } }

    /// SEV_PLATFORM_STATUS: the legacy half.
    ///
    /// - Throws: in check order: EBADF (closed), then as `legacy`
    public func legacyStatus() throws(SEVCommandError) -> SEVPlatformStatusBuffer {
        try check()
        return try legacy(SEVPlatformStatusBuffer())
    }

    /// SEV_GET_ID2: the chip's identifier.
    ///
    /// - Parameter capacity: the room of user space
    /// - Returns: the identifier
    /// - Throws: in check order: EBADF (closed), then as `output`
    public func chipIdentifier(capacity: UInt32 = 64) throws(SEVCommandError) -> [UInt8] {
        try check()
        return try output(capacity, { SEVGetIDBuffer(address: $0, length: $1) }, length: { $0.length })
    }

    /// SEV_PEK_CSR: a request to certify the platform's key.
    ///
    /// - Throws: in check order: EBADF (closed), EPERM (not for writing), then as `output`
    public func certificateRequest(capacity: UInt32) throws(SEVCommandError) -> [UInt8] {
        try check(writes: true)
        return try output(
            capacity, { SEVCertificateRequestBuffer(address: $0, length: $1) }, length: { $0.length })
    }

    /// SNP_PLATFORM_STATUS.
    ///
    /// - Throws: in check order: EBADF (closed), EINVAL (not initialised), ENOMEM, EFAULT (a page), EIO with the status
    public func platformStatus() throws(SEVCommandError) -> PlatformStatus {
        try check()
        try checkSNP()
        do throws(FirmwareError) {
            let page = try host.firmware.allocatePage()
            var failure: FirmwareError?
            do throws(FirmwareError) { try host.firmware.send(PlatformStatusBuffer(status: page.address)) } catch {
                failure = error
            }
            let bytes = try? host.read(page.address, count: PlatformStatus.byteCount)
            do throws(FirmwareError) { try host.firmware.freePage(page) } catch {
                // The page has leaked; firmware's own refusal, if there was one, says more.
                guard case .status(let status) = error else { throw failure ?? error }
                throw failure ?? .notReclaimed(status)
            }
            if let failure { throw failure }
            guard let bytes else { throw .noMemory }
            return PlatformStatus(decoding: bytes)
        } catch { throw SEVCommandError(platform: error) }
    }

    /// SNP_SET_CONFIG: the TCB that reports show, and what they mask.
    ///
    /// - Throws: in check order: EBADF (closed), EPERM (not for writing), EINVAL (not initialised), EIO with the status
    public func setConfiguration(
        reportedTCB: TCBVersion, maskChipID: Bool = false, maskChipKey: Bool = false
    ) throws(SEVCommandError) {
        try check(writes: true)
        try checkSNP()
        try send(ConfigBuffer(reportedTCB: reportedTCB, maskChipID: maskChipID, maskChipKey: maskChipKey))
    }

    /// SNP_COMMIT: the running version becomes the least one.
    ///
    /// - Throws: in check order: EBADF (closed), EINVAL (not initialised), EIO with the status
    public func commit() throws(SEVCommandError) {
        try check()
        try checkSNP()
        try send(CommitBuffer(length: UInt32(CommitBuffer.byteCount)))
    }

    /// The size of a wrapped VLEK.
    public static let wrappedVLEKByteCount = 0x1b0

    /// SNP_VLEK_LOAD of a wrapped key.
    ///
    /// - Throws: in check order: EBADF (closed), EPERM (not for writing), EINVAL (not initialised, version not 0, wrong
    ///   size), ENOMEM, EIO with the status
    public func loadVLEK(_ wrapped: [UInt8], version: UInt8 = 0) throws(SEVCommandError) {
        try check(writes: true)
        try checkSNP()
        guard version == 0, wrapped.count == Self.wrappedVLEKByteCount else { throw SEVCommandError(.invalidArgument) }
        // Firmware only reads the key: an ordinary page will do.
        guard let page = host.allocator.allocate(order: 0)?.pfn else { throw SEVCommandError(.noMemory) }
        defer { host.allocator.free(page, order: 0) }
        do throws(Errno) { try host.write(wrapped, at: page.address) } catch { throw SEVCommandError(error) }
        try send(VLEKLoadBuffer(wrapped: page.address))
    }

    // MARK: What the calls share

    private func check(writes: Bool = false) throws(SEVCommandError) {
        guard isOpen.withLock({ $0 }) else { throw SEVCommandError(.badFile) }
        guard !writes || access == .readWrite else { throw SEVCommandError(.notPermitted) }
    }

    private func checkSNP() throws(SEVCommandError) {
        guard host.snpIsInitialized else { throw SEVCommandError(.invalidArgument) }
    }

    private func send<Buffer: CommandBuffer>(_ buffer: Buffer) throws(SEVCommandError) {
        do throws(FirmwareError) { try host.firmware.send(buffer) } catch { throw SEVCommandError(platform: error) }
    }

    /// - Throws: ENOMEM, EFAULT (a page), EBUSY or ETIMEDOUT (firmware does not answer), EIO with the status
    private func legacy<Buffer: CommandBuffer>(_ buffer: Buffer) throws(SEVCommandError) -> Buffer {
        do throws(FirmwareError) { return try host.firmware.sendLegacy(buffer) } catch {
            throw SEVCommandError(platform: error)
        }
    }

    /// The bytes that a legacy command writes to a place of its caller's.
    ///
    /// - Throws: in check order: EINVAL (more than 16 KiB), ENOMEM, then as `legacy`
    private func output<Buffer: CommandBuffer>(
        _ capacity: UInt32, _ make: (SPA, UInt32) -> Buffer, length: (Buffer) -> UInt32
    ) throws(SEVCommandError) -> [UInt8] {
        guard capacity <= 16 << 10 else { throw SEVCommandError(.invalidArgument) }
        guard let block = host.allocator.allocate(order: 2) else { throw SEVCommandError(.noMemory) }
        defer { host.allocator.free(block.pfn, order: 2) }
        for pfn in block.frames { host.clearFrame(pfn) }
        let result = try legacy(make(block.pfn.address, capacity))
        do throws(Errno) {
            return try host.read(block.pfn.address, count: Int(min(length(result), capacity)))
        } catch { throw SEVCommandError(error) }
    }
}

extension SEVCommandError {
    /// What a call of /dev/sev gets.
    init(platform error: FirmwareError) {
        if case .status(let status) = error { self.init(.ioError, status) } else { self.init(error.errno) }
    }
}
