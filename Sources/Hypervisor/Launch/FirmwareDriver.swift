// The driver of the AMD Secure Processor: one command at a time through the mailbox, and the pages it hands to firmware.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// Why a command did not succeed.
public enum FirmwareError: Error, Hashable, Sendable {
    /// Firmware returned this status.
    case status(FirmwareStatus)
    /// Firmware did not answer in time. The driver sends nothing any more.
    case timedOut
    /// Firmware once did not answer in time, and nothing was sent.
    case dead
    /// The driver has no memory for a command or page.
    case noMemory
    /// A page could not be given to firmware or taken back.
    case pageState(RMPStatus)
    /// Firmware did not give a page back.
    case notReclaimed(FirmwareStatus)
}

/// Sends commands.
///
/// - Spec: patches 20 to 25 of the series; Linux: `sev_do_cmd()`, `snp_alloc_firmware_page()`, `snp_reclaim_pages()`
public final class FirmwareDriver: @unchecked Sendable {
    /// How long the driver waits for an answer, in nanoseconds: 100 seconds, as Linux does.
    public static let defaultTimeout: UInt64 = 100_000_000_000

    let machine: Machine
    let allocator: HostPageAllocator
    let rmp: HostRMP
    let leaked: LeakedPages
    let directMap: DirectMap
    let snp: SNPSwitch
    let defects: KnownDefects
    private let lock = Lock(.mailbox)
    private var isDead = false
    private var timeout: UInt64 = defaultTimeout
    private var sentCommands: UInt64 = 0
    /// The page that holds command buffers: ordinary host memory, since firmware only reads it.
    private let commandPage: PFN

    init(
        machine: Machine, allocator: HostPageAllocator, rmp: HostRMP, leaked: LeakedPages, directMap: DirectMap,
        snp: SNPSwitch, defects: KnownDefects
    ) throws(Errno) {
        self.snp = snp
        self.defects = defects
        guard let commandPage = allocator.allocate(order: 0)?.pfn else { throw .noMemory }
        self.commandPage = commandPage
        self.machine = machine
        self.allocator = allocator
        self.rmp = rmp
        self.leaked = leaked
        self.directMap = directMap
    }

    /// Sends a command with its buffer's bytes and waits for the answer: one command at a time.
    ///
    /// Firmware that does not answer in time is dead: this command and all later ones fail until `reset`.
    ///
    /// - Throws: `.dead`, `.noMemory`, `.timedOut`, `.status` (anything but success)
    public func send(_ command: FirmwareCommand, _ buffer: [UInt8] = []) throws(FirmwareError) {
        let status = try transact(command, buffer).status
        guard status == .success else { throw .status(status) }
    }

    /// Sends a command and returns its status, whatever it is, and the buffer as firmware left it.
    ///
    /// - Parameter page: holds the buffer already, and is firmware's; nil for the driver's own page, which is filled
    /// - Throws: `.dead`, `.noMemory`, `.timedOut`
    func transact(
        _ command: FirmwareCommand, _ buffer: [UInt8], in page: PFN? = nil
    ) throws(FirmwareError) -> (status: FirmwareStatus, buffer: [UInt8]) {
        let isFilledEarly = defects.has(.commandBufferShared) && !buffer.isEmpty && page == nil
        if isFilledEarly { try? access.store(buffer, at: commandPage.address) }
        return try lock.withLock { () throws(FirmwareError) in
            guard !isDead else { throw .dead }
            let place = (page ?? commandPage).address
            if page == nil, !buffer.isEmpty, !isFilledEarly {
                do { try access.store(buffer, at: place) } catch { throw .noMemory }
            }
            ring(command, buffer.isEmpty ? SPA(0) : place)
            var response = machine.mailbox.readResponse()
            if response >> 31 == 0 {
                response = machine.mailbox.waitForResponse(until: HostClock.now.advanced(byNanoseconds: timeout))
            }
            guard response >> 31 == 1 else {
                isDead = true
                throw .timedOut
            }
            let status = decode(UInt16(truncatingIfNeeded: response))
            if status != .success, defects.has(.commandStaysActive) { isDead = true }
            // SNP commands do not write to their buffers.
            guard command.rawValue < FirmwareCommand.snpInit.rawValue, !buffer.isEmpty else { return (status, buffer) }
            return (status, (try? access.bytes(place, count: buffer.count)) ?? buffer)
        }
    }

    private func ring(_ command: FirmwareCommand, _ buffer: SPA) {
        sentCommands += 1
        machine.mailbox.writeAddress(buffer)
        machine.mailbox.writeCommand(UInt32(command.rawValue) << 16 | 1)
    }

    /// How often a panic looks for an answer before it gives up.
    static let panicPollLimit = 100_000

    /// Sends a command in a panic: takes no lock, since its holder may have stopped for ever, and does not sleep.
    ///
    /// - Spec: Linux: the panic path of `sev_wait_cmd_ioc()`
    /// - Throws: `.dead`, `.timedOut` (an earlier command is under way, or this one is not answered), `.status`
    func sendInPanic(_ command: FirmwareCommand, _ buffer: [UInt8] = []) throws(FirmwareError) {
        guard !isDead else { throw .dead }
        _ = try pollResponse()
        machine.memory.store(buffer, at: commandPage.address)
        ring(command, buffer.isEmpty ? SPA(0) : commandPage.address)
        let status = decode(UInt16(truncatingIfNeeded: try pollResponse()))
        guard status == .success else { throw .status(status) }
    }

    private func pollResponse() throws(FirmwareError) -> UInt32 {
        for _ in 0..<Self.panicPollLimit {
            let response = machine.mailbox.readResponse()
            if response >> 31 == 1 { return response }
        }
        isDead = true
        throw .timedOut
    }

    /// Firmware has not failed to answer in time.
    public var isResponding: Bool { lock.withLock { !isDead } }

    /// Sets how long the driver waits for an answer, in nanoseconds.
    public func setTimeout(nanoseconds: UInt64) { lock.withLock { timeout = nanoseconds } }

    /// Starts anew with firmware that did not answer: resets the mailbox and sends commands again.
    public func reset() {
        lock.withLock {
            machine.mailbox.reset()
            isDead = false
        }
    }

    private func decode(_ raw: UInt16) -> FirmwareStatus {
        let isShifted = defects.has(.statusNumbersShifted) && (0x19...0x20).contains(raw)
        return FirmwareStatus(rawValue: isShifted ? raw + 0xf : raw)
    }

    func checkpoint() -> Checkpoint {
        let saved = (isDead, timeout, sentCommands)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in (isDead, timeout, sentCommands) = saved }
        return checkpoint
    }

    /// How many commands have been sent.
    public var commandCount: UInt64 { lock.withLock { sentCommands } }

    /// Sends a command with a buffer of the firmware ABI.
    ///
    /// - Throws: as `send(_:_:)`
    public func send<Buffer: CommandBuffer>(_ buffer: Buffer) throws(FirmwareError) {
        try send(Buffer.command, buffer.encoded)
    }
}
