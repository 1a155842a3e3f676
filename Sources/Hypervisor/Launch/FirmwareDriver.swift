// The driver of the AMD Secure Processor: one command at a time through the mailbox, and the pages it hands to firmware.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// Why a command did not succeed.
public enum FirmwareError: Error, Hashable, Sendable {
    /// Firmware returned this status.
    case status(FirmwareStatus)
    /// Firmware does not answer. The driver sends nothing any more.
    case dead
    /// The driver has no memory for a command or page.
    case noMemory
    /// A page could not be given to firmware or taken back.
    case pageState(RMPStatus)
}

/// Sends commands.
///
/// - Spec: patches 20 to 25 of the series; Linux: `sev_do_cmd()`, `snp_alloc_firmware_page()`, `snp_reclaim_pages()`
/// - Deviates: only SNP commands; the legacy commands' bounce buffers belong to a later part
public final class FirmwareDriver: @unchecked Sendable {
    /// How long the driver waits for an answer, in nanoseconds: 100 seconds, as Linux does.
    public static let defaultTimeout: UInt64 = 100_000_000_000

    private let machine: Machine
    private let allocator: HostPageAllocator
    private let rmp: HostRMP
    private let leaked: LeakedPages
    private let directMap: DirectMap
    private let defects: KnownDefects
    private let lock = Lock(.mailbox)
    private var isDead = false
    private var timeout: UInt64 = defaultTimeout
    private var sentCommands: UInt64 = 0
    /// The page that holds command buffers: ordinary host memory, since firmware only reads it.
    private let commandPage: PFN

    init(
        machine: Machine, allocator: HostPageAllocator, rmp: HostRMP, leaked: LeakedPages, directMap: DirectMap,
        defects: KnownDefects
    ) throws(Errno) {
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
    /// - Throws: `.dead`, `.noMemory`, `.status` (anything but success)
    public func send(_ command: FirmwareCommand, _ buffer: [UInt8] = []) throws(FirmwareError) {
        let isFilledEarly = defects.has(.commandBufferShared) && !buffer.isEmpty
        if isFilledEarly { try? access.store(buffer, at: commandPage.address) }
        return try lock.withLock { () throws(FirmwareError) in
            guard !isDead else { throw .dead }
            var address = SPA(0)
            if !buffer.isEmpty {
                address = commandPage.address
                if !isFilledEarly { do { try access.store(buffer, at: address) } catch { throw .noMemory } }
            }
            sentCommands += 1
            machine.mailbox.writeAddress(address)
            machine.mailbox.writeCommand(UInt32(command.rawValue) << 16 | 1)
            var response = machine.mailbox.readResponse()
            if response >> 31 == 0 {
                response = machine.mailbox.waitForResponse(until: HostClock.now.advanced(byNanoseconds: timeout))
            }
            guard response >> 31 == 1 else {
                isDead = true
                throw .dead
            }
            let status = decode(UInt16(truncatingIfNeeded: response))
            guard status == .success else {
                if defects.has(.commandStaysActive) { isDead = true }
                throw .status(status)
            }
        }
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

    private var access: HostAccess { HostAccess(machine: machine, directMap: directMap) }

    // MARK: Pages in firmware's hands

    /// Takes a cleared page and gives it to firmware. Never a 2 MiB aligned one: such a page in use makes hardware see
    /// false RMP violations in the mappings around it.
    ///
    /// - Throws: `.noMemory`, `.pageState`
    public func allocatePage() throws(FirmwareError) -> PFN {
        guard let pfn = allocateUnalignedFrame() else { throw .noMemory }
        defer { releaseClaim(pfn) }
        do {
            try rmp.makeFirmware(pfn)
            return pfn
        } catch {
            if !defects.has(.refusedPageLost) { giveBack(pfn) }
            throw .pageState(error)
        }
    }

    /// Takes a cleared frame that is not 2 MiB aligned. The direct map keeps it small until `releaseClaim`.
    func allocateUnalignedFrame() -> PFN? {
        guard var block = allocator.allocate(order: 0) else { return nil }
        if block.pfn.isAligned(to: .size2M), !defects.has(.alignedFirmwarePages) {
            let aligned = block
            let second = allocator.allocate(order: 0)
            allocator.free(aligned.pfn, order: 0)
            guard let second else { return nil }
            block = second
        }
        guard (try? directMap.claimSmallPages(around: block.pfn)) != nil else {
            allocator.free(block.pfn, order: 0)
            return nil
        }
        guard (try? access.clear(block.pfn)) != nil else {
            releaseClaim(block.pfn)
            allocator.free(block.pfn, order: 0)
            return nil
        }
        return block.pfn
    }

    /// The caller of `allocateUnalignedFrame` has made its RMP entry, or has failed to.
    func releaseClaim(_ pfn: PFN) { _ = directMap.release(around: pfn, rmp) }

    /// Takes a page back from firmware and frees it: PAGE_RECLAIM, then RMPUPDATE. What does not come back is leaked.
    ///
    /// - Throws: the first refusal, after leaking the page
    public func freePage(_ pfn: PFN) throws(FirmwareError) {
        do throws(FirmwareError) { try reclaimPage(pfn) } catch {
            leaked.leak(pfn..<(pfn + 1), reason: "PAGE_RECLAIM or RMPUPDATE of a firmware page: \(error)")
            throw error
        }
        giveBack(pfn)
    }

    /// Takes a page back from firmware; it is the host's afterwards.
    ///
    /// - Throws: `.status` (PAGE_RECLAIM), `.pageState` (RMPUPDATE)
    func reclaimPage(_ pfn: PFN, _ size: PageSize = .size4K) throws(FirmwareError) {
        try send(PageReclaimBuffer(page: pfn.address, size: size))
        var counts = RMPCounts()
        defer { rmp.record(counts) }
        do throws(RMPStatus) { try rmp.makeShared(pfn, size, counts: &counts) } catch { throw .pageState(error) }
    }

    func giveBack(_ pfn: PFN) {
        _ = directMap.restore(around: pfn, rmp)
        allocator.free(pfn, order: 0)
    }
}
