// Runs of pages in firmware's hands: firmware's trusted memory region, and buffers that firmware writes to.

internal import Machine
internal import SNPArchitecture

/// Pages in a row, all of them in one 2 MiB region.
struct FirmwareBlock: Hashable, Sendable {
    /// The first frame.
    var pfn: PFN
    /// The block is 2^order frames.
    var order: UInt8
    /// How many of them firmware gets.
    var pageCount: UInt64

    /// The frames that firmware gets.
    var firmwareFrames: Range<PFN> { pfn..<(pfn + pageCount) }
    /// All frames.
    var frames: Range<PFN> { pfn..<(pfn + 1 << UInt64(order)) }

    /// The least order that holds so many pages; nil for more than 2 MiB.
    static func order(of pageCount: UInt64) -> UInt8? {
        guard pageCount > 0, pageCount <= 512 else { return nil }
        return UInt8(64 - (pageCount - 1).leadingZeroBitCount)
    }
}

extension FirmwareDriver {
    /// Takes pages in a row, puts bytes into them and gives them to firmware, one RMPUPDATE of 4 KiB each. What is smaller
    /// than 2 MiB is never 2 MiB aligned.
    ///
    /// When a page is refused, exactly those given before are taken back.
    ///
    /// - Spec: Linux: `__snp_alloc_firmware_pages()`, `rmp_mark_pages_firmware()`
    /// - Throws: `.noMemory`, `.pageState`; then nothing is taken but what has leaked
    /// - Deviates: Linux never frees the block of a refused page; here only what firmware does not give back is lost
    func allocateBlock(pageCount: UInt64, contents: [UInt8] = []) throws(FirmwareError) -> FirmwareBlock {
        guard let order = FirmwareBlock.order(of: pageCount), let pfn = takeUnaligned(order) else { throw .noMemory }
        let block = FirmwareBlock(pfn: pfn, order: order, pageCount: pageCount)
        do {
            _ = try directMap.claimSmallPages(around: pfn)
        } catch {
            free(block.frames)
            throw .noMemory
        }
        defer { releaseClaim(pfn) }
        do {
            for frame in block.frames { try access.clear(frame) }
            try access.store(contents, at: pfn.address)
        } catch {
            free(block.frames)
            throw .noMemory
        }
        for frame in block.firmwareFrames {
            do throws(RMPStatus) { try rmp.makeFirmware(frame) } catch {
                free(frame..<block.frames.upperBound)
                if defects.has(.refusedBlockFreed) { free(pfn..<frame) } else { try? takeBack(pfn..<frame) }
                throw .pageState(error)
            }
        }
        return block
    }

    /// Takes a block back from firmware and frees it.
    ///
    /// - Throws: the first refusal: that page and those after it have leaked
    func freeBlock(_ block: FirmwareBlock) throws(FirmwareError) {
        free(block.firmwareFrames.upperBound..<block.frames.upperBound)
        try takeBack(block.firmwareFrames)
    }

    /// PAGE_RECLAIM and RMPUPDATE of each page.
    ///
    /// - Spec: Linux: `snp_reclaim_pages()`
    private func takeBack(_ frames: Range<PFN>) throws(FirmwareError) {
        for frame in frames {
            do throws(FirmwareError) { try reclaimPage(frame) } catch {
                leaked.leak(frame..<frames.upperBound, reason: "firmware's pages from \(frame) on: \(error)")
                if case .status(let status) = error { throw .notReclaimed(status) }
                throw error
            }
            giveBack(frame)
        }
    }

    private func free(_ frames: Range<PFN>) {
        for frame in frames { giveBack(frame) }
    }

    private func takeUnaligned(_ order: UInt8) -> PFN? {
        guard let first = allocator.allocate(order: order, for: .firmware)?.pfn else { return nil }
        guard order < 9, first.isAligned(to: .size2M) else { return first }
        let second = allocator.allocate(order: order, for: .firmware)?.pfn
        allocator.free(first, order: order)
        return second
    }
}
