// Nested page faults: from an exit with a guest address and an error code to a mapping, or to the VMM.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// What becomes of a nested page fault.
public enum FaultOutcome: Hashable, Sendable {
    /// The guest goes on; the access is tried again.
    case resume
    /// KVM_EXIT_MEMORY_FAULT: KVM_RUN fails with the errno and tells the VMM the access and its private-ness.
    case memoryFault(gpa: GPA, byteCount: UInt64, isPrivate: Bool, errno: Errno)
    /// No slot: the VMM emulates a device.
    case mmio(gpa: GPA)
    /// KVM_RUN fails.
    case failed(Errno)
}

extension VirtualMachine {
    /// Handles a nested page fault.
    ///
    /// - Parameters:
    ///   - gpa: EXITINFO2
    ///   - error: EXITINFO1
    /// - Spec: patches 37, 38, 44, 49 of the series; Linux: `npf_interception()`, `kvm_mmu_faultin_pfn()`
    public func handleNestedPageFault(_ gpa: GPA, _ error: PageFaultError) -> FaultOutcome {
        while true {
            guard isAlive else { return .failed(.ioError) }
            let (outcome, isStale) = faultIn(gpa, isPrivate: kind == .snp && error.contains(.encrypted))
            if isStale {
                schedulePoint(.yield)
                continue
            }
            if outcome == .resume || host.has(.rmpFaultBeforeExit), error.contains(.rmp) { handleRMPFault(gpa.frame) }
            return outcome
        }
    }

    /// KVM_PRE_FAULT_MEMORY: maps a range as the guest would by touching it, private or shared as the attributes say.
    ///
    /// - Returns: how many pages are mapped
    /// - Throws: in check order: EIO (dead), EOPNOTSUPP (not launched), EINVAL (unaligned or empty), then, if no page could be
    ///   mapped: ENOENT (no slot), EFAULT or what the backing refused
    public func preFault(_ gpa: GPA, byteCount: UInt64) throws(Errno) -> UInt64 {
        try checkAlive()
        guard kind != .snp || isLaunched else { throw .notSupported }
        return try populateMappings(gpa, byteCount: byteCount)
    }

    /// Maps a range like `preFault`, at any time of the machine's life: for tools that show what faults would do.
    ///
    /// - Throws: as `preFault`, without EOPNOTSUPP
    public func populateMappings(_ gpa: GPA, byteCount: UInt64) throws(Errno) -> UInt64 {
        try checkAlive()
        guard gpa.pageOffset == 0, byteCount & 0xfff == 0, byteCount > 0, let end = gpa.advanced(checked: byteCount)
        else {
            throw .invalidArgument
        }
        var gfn = gpa.frame
        while gfn < end.frame {
            let isPrivate = attribute(of: gfn) == .private
            let (outcome, isStale) = faultIn(gfn.address, isPrivate: isPrivate)
            if isStale {
                try checkAlive()
                schedulePoint(.yield)
                continue
            }
            guard outcome == .resume else {
                if gfn > gpa.frame { break }
                switch outcome {
                case .mmio: throw .noEntry
                case .memoryFault(_, _, _, let errno), .failed(let errno): throw errno
                case .resume: break
                }
                break
            }
            let level = nested.mapping(of: gfn)?.level ?? .level4K
            gfn = gfn.aligned(down: level.rmpSize) + level.rmpSize.pageCount
        }
        return UInt64(min(gfn, end.frame).rawValue - gpa.frame.rawValue)
    }

    /// One try: look up, back, prepare, map. Stale when an invalidation came in between.
    func faultIn(_ gpa: GPA, isPrivate: Bool) -> (FaultOutcome, isStale: Bool) {
        let gfn = gpa.frame
        let fault = FaultOutcome.memoryFault(
            gpa: gfn.address, byteCount: 4096, isPrivate: isPrivate, errno: .badAddress)
        // The sequence is read before the attribute: whatever changes afterwards makes this try stale.
        let (sequence, slot, attribute) = nested.lock.withLock {
            (nested.sequence, self.slot(containing: gfn), attributes.attribute(of: gfn))
        }
        guard let slot else { return (isAlive ? .mmio(gpa: gpa) : .failed(.ioError), false) }
        if kind == .snp, isPrivate != (attribute == .private) {
            return (fault, host.has(.sharedAccessConverts) && isPrivate && convertToPrivate(gfn))
        }
        do throws(Errno) {
            let target = isPrivate ? try backPrivate(gfn, slot) : try backShared(gfn, slot)
            guard let target else { return (fault, true) }
            return (.resume, isStale: try !map(gfn, target, ifStill: sequence))
        } catch {
            if error == .badAddress { return (fault, false) }
            return (
                .memoryFault(gpa: gfn.address, byteCount: 4096, isPrivate: isPrivate, errno: error), false
            )
        }
    }

    /// The frame behind a private page, assigned to the guest. Nil when the attribute changed meanwhile.
    private func backPrivate(_ gfn: GFN, _ slot: MemorySlot) throws(Errno) -> (PFN, PageLevel)? {
        guard let file = slot.guestMemory, let asid else { throw .badAddress }
        var counts = ConversionCounts()
        defer { record(counts) }
        return try backing.withLock { () throws(Errno) in
            guard isAlive, nested.lock.withLock({ attributes.attribute(of: gfn) }) == .private else { return nil }
            let index = slot.guestIndex(of: gfn)
            guard let folio = try backingFolio(file, index, allocate: true) else { throw .noMemory }
            let pfn = folio.pfn + (index - folio.index)
            let size = try prepare(pfn, gfn, folio, slot, asid, &counts)
            return (pfn, size == .size2M && allows2M(gfn, pfn, folio, slot) ? .level2M : .level4K)
        }
    }

    private func backShared(_ gfn: GFN, _ slot: MemorySlot) throws(Errno) -> (PFN, PageLevel)? {
        (try slot.userMemory.frame(at: slot.userIndex(of: gfn)), .level4K)
    }

    /// Makes a backing page private in the RMP if it is not yet, as large as everything allows; returns its size there.
    ///
    /// - Spec: Linux: `sev_gmem_prepare()`
    private func prepare(
        _ pfn: PFN, _ gfn: GFN, _ folio: Folio, _ slot: MemorySlot, _ asid: ASID, _ counts: inout ConversionCounts
    ) throws(Errno) -> PageSize {
        guard let entry = host.rmp.lookup(pfn) else { throw .noEntry }
        if entry.assigned {
            guard entry.asid == asid, entry.gfn == gfn else { throw .invalidArgument }
            return entry.pageSize
        }
        guard policy.preparesAtFault else { throw .badAddress }
        let large = !entry.regionHasAssignedPages && allows2M(gfn, pfn, folio, slot)
        let size: PageSize = large ? .size2M : .size4K
        if !large { counts.directMapSplits &+= try host.directMap.claimSmallPages(around: pfn) }
        defer { if !large { counts.directMapCollapses &+= host.directMap.release(around: pfn, host.rmp) } }
        do throws(RMPStatus) {
            try host.rmp.makePrivate(
                pfn.aligned(down: size), size, gfn: gfn.aligned(down: size), asid: asid, counts: &counts.rmp)
        } catch { throw .invalidArgument }
        counts.madePrivate &+= size.pageCount
        return size
    }

    /// Whether a 2 MiB page fits around the frame: folio, both alignments, slot, and one attribute throughout.
    private func allows2M(_ gfn: GFN, _ pfn: PFN, _ folio: Folio, _ slot: MemorySlot) -> Bool {
        guard folio.order >= 9, (gfn.rawValue ^ pfn.rawValue) & 511 == 0 else { return false }
        let head = gfn.aligned(down: .size2M)
        guard head >= slot.frames.lowerBound, head + 512 <= slot.frames.upperBound else { return false }
        return nested.lock.withLock { attributes.isUniform(looked(head..<(head + 512)), .private) }
    }

    /// Maps a page unless an invalidation of it is under way or has been since the sequence was read.
    private func map(_ gfn: GFN, _ target: (PFN, PageLevel), ifStill sequence: UInt64) throws(Errno) -> Bool {
        schedulePoint(.nestedMap)
        return try nested.lock.withLock { () throws(Errno) in
            let size = target.1.rmpSize
            let head = gfn.aligned(down: size)
            let isStale = nested.isStale(head..<(head + size.pageCount), since: sequence)
            guard !isStale || host.has(.staleFaultMaps) else { return false }
            try nested.map(head, target.0.aligned(down: size), target.1)
            return true
        }
    }
}
