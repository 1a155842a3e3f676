// The defects that are code of their own, rather than a check left out.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// Defect 5: makes the pages of a new folio private as soon as they are allocated. Caller holds `backing`.
    func prepareAtAllocation(_ file: GuestMemory, _ folio: Folio) {
        guard let asid else { return }
        var counts = ConversionCounts()
        defer { record(counts) }
        for slot in file.bindings {
            guard let frames = slot.frames(backedBy: folio.index..<folio.index + folio.pageCount) else { continue }
            for gfn in frames where nested.lock.withLock({ attributes.attribute(of: gfn) }) == .private {
                let pfn = folio.pfn + (slot.guestIndex(of: gfn) - folio.index)
                _ = try? host.directMap.claimSmallPages(around: pfn)
                try? host.rmp.makePrivate(pfn, .size4K, gfn: gfn, asid: asid, counts: &counts.rmp)
                _ = host.directMap.release(around: pfn, host.rmp)
            }
        }
    }

    /// Defect 17: the range that a look at attributes looks at.
    func looked(_ range: Range<GFN>) -> Range<GFN> {
        host.has(.attributeRangeTooLong) ? range.lowerBound..<(range.upperBound + 1) : range
    }

    /// Defect 14: a run of pages as its first entry says now, whatever was checked.
    func readAgain(
        _ checked: PageStateChangeRun.Batch, _ area: ScratchArea, _ session: GHCBSession
    ) -> PageStateChangeRun.Batch {
        guard case .sharedBuffer(let start) = area.place, let bytes = try? session.page.read() else { return checked }
        let offset = start + (checked.entries.lowerBound + 1) * PageStateChangeBuffer.quadwordByteCount
        let entry = PageStateChangeEntry(rawValue: bytes.integer(at: offset))
        var batch = checked
        batch.gfn = entry.gfn
        batch.size = entry.size
        batch.pageCount = entry.size.pageCount &- UInt64(entry.currentPage)
        return batch
    }

    /// `requestPagesFreedEarly`: waits for nobody.
    func freeRequestPagesEarly() {
        guard let pages = launch.requestPages else { return }
        launch.requestPages = nil
        free(pages)
    }

    /// `sharedPageLost`: leaks a folio that is the guest's in the RMP though its attribute is shared. True if it was so.
    /// Caller holds the locks.
    func loseIfShared(_ folio: Folio, _ file: GuestMemory) -> Bool {
        let frames = file.bindings.compactMap { $0.frames(backedBy: folio.index..<folio.index + folio.pageCount) }
        let isShared = nested.lock.withLock { frames.contains { attributes.isUniform($0, .shared) } }
        guard isShared, host.rmp.lookup(folio.pfn)?.assigned == true else { return false }
        host.leaked.leak(folio.pfn..<(folio.pfn + folio.pageCount), reason: "shared, and the guest's in the RMP")
        return true
    }

    /// Defect 34: makes a page private because it was accessed so. True if it is.
    func convertToPrivate(_ gfn: GFN) -> Bool {
        (try? setMemoryAttributes(gfn.address, byteCount: 4096, to: .private)) != nil
    }
}

extension Host {
    /// Defect 28: clears the RMP as ordinary memory is cleared, and stops where the kernel would: at a fault.
    func clearTableRegardless() throws(SNPInitializationError) {
        for frame in machine.rmp.tableFrames.joined() {
            do { try access.clear(frame) } catch { throw .rmp(.outsideMemory(frame.address)) }
        }
    }
}

extension LaunchStartBuffer {
    /// Defect 33: what follows DESIRED_TSC_FREQ, and it, as a structure without that member has them: four bytes too early.
    mutating func dropDesiredTSC() {
        let workarounds = gosvw
        desiredTSCKilohertz = workarounds.integer(at: 0)
        gosvw = Array(workarounds[4...]) + [0, 0, 0, 0]
    }
}

extension GHCBSession {
    /// Defect 15: the page as it is now, with the bits of the copy that was checked.
    func readAgain() -> GHCBSession {
        guard let bytes = try? page.read(), var now = GHCBPage(bytes) else { return self }
        now.validBitmap = request.page.validBitmap
        let again = GHCBRequest(gpa: request.gpa, page: now, personality: request.personality, hostile: request.hostile)
        return GHCBSession(request: again, page: page)
    }
}
