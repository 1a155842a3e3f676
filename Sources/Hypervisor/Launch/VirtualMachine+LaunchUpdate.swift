// KVM_SEV_SNP_LAUNCH_UPDATE: copies initial pages into guest memory, makes them private and has firmware measure them.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// What KVM_SEV_SNP_LAUNCH_UPDATE takes, and how far it came.
public struct LaunchUpdateRequest: Sendable {
    /// The first guest frame; moves on with progress.
    public var gfn: GFN
    /// What to put there. Of the size of the remaining length, and moves on with it; zero pages ignore and drop it.
    public var source: ArraySlice<UInt8>?
    /// The length in bytes; goes down to 0 with progress.
    public var byteCount: UInt64
    /// The type of the pages.
    public var type: PageType
    /// Must be 0.
    public var flags: UInt16 = 0

    /// Makes a request.
    public init(gfn: GFN, source: ArraySlice<UInt8>?, byteCount: UInt64, type: PageType) {
        self.gfn = gfn
        self.source = source
        self.byteCount = byteCount
        self.type = type
    }
}

extension VirtualMachine {
    /// KVM_SEV_SNP_LAUNCH_UPDATE: launches a run of pages of one type. On partial success the request says what is left.
    ///
    /// A CPUID page that firmware corrects fails with INVALID_PARAM, and the corrected page is in `request.source`.
    ///
    /// - Throws: in check order: EIO (dead), EINVAL (no context or finished, flags, length 0 or unaligned, type, missing
    ///   source, no slot with guest memory), EIO with the firmware's status (also: a page that is launched already)
    public func snpLaunchUpdate(_ request: inout LaunchUpdateRequest) throws(SEVCommandError) {
        try checkAliveForSEV()
        var copy = request
        let result: Result<Void, SEVCommandError> = slotsLock.withLock {
            do throws(SEVCommandError) {
                try update(&copy)
                return .success(())
            } catch { return .failure(error) }
        }
        request = copy
        try result.get()
    }

    private func update(_ request: inout LaunchUpdateRequest) throws(SEVCommandError) {
        guard let context = launch.context, let asid = launch.asid, !launch.isFinished, request.flags == 0 else {
            throw SEVCommandError(.invalidArgument)
        }
        guard request.byteCount > 0 || host.has(.emptyLaunchUpdate), request.byteCount & 0xfff == 0,
            request.byteCount <= 1 << 48
        else {
            throw SEVCommandError(.invalidArgument)
        }
        let types: [PageType] = [.normal, .zero, .unmeasured, .secrets, .cpuid]
        guard types.contains(request.type) else { throw SEVCommandError(.invalidArgument) }
        guard request.type == .zero || request.source.map({ UInt64($0.count) == request.byteCount }) == true else {
            throw SEVCommandError(.invalidArgument)
        }
        // A page of zeros has no source, whatever the caller passes.
        if request.type == .zero { request.source = nil }
        guard request.gfn.rawValue < 1 << UInt64(MemoryAttributes.frameBits), let slot = slot(containing: request.gfn),
            let file = slot.guestMemory
        else { throw SEVCommandError(.invalidArgument) }
        let end = min(request.gfn.rawValue + request.byteCount >> 12, slot.frames.upperBound.rawValue)
        let range = request.gfn..<GFN(end)
        _ = beginInvalidation(range)
        defer { endInvalidation(range) }
        backing.lock()
        defer { backing.unlock() }
        expectWrites(range, slot, file)
        defer { launch.launched.set(range.lowerBound..<request.gfn, to: .private) }
        for gfn in range {
            do throws(SEVCommandError) {
                try populate(gfn, slot, file, &request, context, asid)
            } catch {
                if gfn == range.lowerBound || error.firmware != nil { throw error }
                return
            }
            request.gfn = gfn + 1
            request.byteCount -= 4096
            request.source?.removeFirst(4096)
        }
    }

    /// Has the system give memory to the frames of a long run of pages in one go.
    private func expectWrites(_ range: Range<GFN>, _ slot: MemorySlot, _ file: GuestMemory) {
        guard range.count >= 64, (try? backingFolio(file, slot.guestIndex(of: range.lowerBound), allocate: true)) != nil
        else { return }
        _ = SlotRange(slot: slot, frames: range).forEachExtent(file) { extent in
            host.machine.memory.expectWrites(to: extent.pfn..<(extent.pfn + extent.count))
        }
    }

    /// Launches one page. Caller holds the slots' and the backing lock inside an invalidation bracket.
    private func populate(
        _ gfn: GFN, _ slot: MemorySlot, _ file: GuestMemory, _ request: inout LaunchUpdateRequest, _ context: PFN,
        _ asid: ASID
    ) throws(SEVCommandError) {
        let attribute = nested.lock.withLock { attributes.attribute(of: gfn) }
        guard attribute == .private || host.has(.launchesSharedPages) else {
            throw SEVCommandError(.invalidArgument)
        }
        let pfn: PFN
        do throws(Errno) {
            let index = slot.guestIndex(of: gfn)
            guard let folio = try backingFolio(file, index, allocate: true) else { throw .noMemory }
            pfn = folio.pfn + (index - folio.index)
        } catch { throw SEVCommandError(error) }
        var counts = ConversionCounts()
        defer { record(counts) }
        try makePreGuest(pfn, gfn, asid, request.source?.prefix(4096), &counts)
        do throws(FirmwareError) {
            try host.firmware.send(LaunchUpdateBuffer(context: context.address, page: pfn.address, type: request.type))
        } catch {
            abandon(pfn, file, error, &request)
            throw SEVCommandError(error)
        }
    }

    /// Brings a page to Pre-Guest with the given contents. The host can write it only while it is not assigned.
    private func makePreGuest(
        _ pfn: PFN, _ gfn: GFN, _ asid: ASID, _ contents: ArraySlice<UInt8>?, _ counts: inout ConversionCounts
    ) throws(SEVCommandError) {
        guard let entry = host.rmp.lookup(pfn) else { throw SEVCommandError(.ioError) }
        if entry.assigned {
            // Only the eager policy's page, private but not yet launched, may be rewritten.
            guard policy.isEager, entry.asid == asid, entry.gfn == gfn, !entry.immutable,
                launch.launched.attribute(of: gfn) == .shared
            else { throw SEVCommandError(.ioError) }
        }
        do throws(Errno) {
            counts.directMapSplits &+= try host.directMap.claimSmallPages(around: pfn)
            var keepsMapping = host.has(.mappingKeptAfterFailure)
            defer { if !keepsMapping { counts.directMapCollapses &+= host.directMap.release(around: pfn, host.rmp) } }
            do throws(RMPStatus) {
                if entry.assigned, entry.pageSize == .size2M { try host.rmp.smash(pfn, counts: &counts.rmp) }
                if entry.assigned { try host.rmp.makeShared(pfn, .size4K, counts: &counts.rmp) }
            } catch { throw .ioError }
            if let contents { try host.write(contents, at: pfn.address) }
            do throws(RMPStatus) {
                try host.rmp.makePrivate(pfn, .size4K, gfn: gfn, asid: asid, immutable: true, counts: &counts.rmp)
            } catch { throw .ioError }
            keepsMapping = false
        } catch { throw SEVCommandError(error) }
    }

    /// Takes back a page that firmware refused; a corrected CPUID page goes back to the caller first.
    private func abandon(
        _ pfn: PFN, _ file: GuestMemory, _ error: FirmwareError, _ request: inout LaunchUpdateRequest
    ) {
        do throws(FirmwareError) { try host.firmware.reclaimPage(pfn) } catch {
            kill("a page that firmware refused could not be reclaimed: \(error)")
            return
        }
        _ = host.directMap.restore(around: pfn, host.rmp)
        file.leavesPagesToFaults = true
        if request.type == .cpuid, error == .status(.invalidParam) {
            request.source = (try? host.read(pfn.address, count: 4096))?[...]
        }
    }
}
