// The host's direct map: every frame of DRAM at the virtual address that equals its physical one.
//
// The size of a mapping matters: a write through a page of 2 MiB or more faults if any frame of its 2 MiB is assigned.

public import SNPArchitecture
internal import Scheduling

/// The host kernel's page table of all DRAM.
public struct DirectMapTable: Sendable {
    /// The table underneath.
    public let table: PageTable

    /// Maps the frames with the largest pages that fit.
    ///
    /// - Throws: `.outOfTablePages`
    public init(memory: PhysicalMemory, pages: any TablePageSource, frames: Range<PFN>) throws(PageTableError) {
        table = try PageTable(memory: memory, pages: pages)
        try table.mapRange(Self.plain(frames), to: frames.lowerBound, flags: .kernel)
    }

    /// The frame of the top table, for CR3.
    public var root: PFN { table.root }

    /// The size at which a frame is mapped, or nil if it is not.
    @inlinable public func level(of pfn: PFN) -> PageLevel? { table.lookup(pfn.rawValue)?.level }

    /// Splits the page that maps a frame until it is no larger than `level`.
    ///
    /// - Throws: `.outOfTablePages`
    public func split(_ pfn: PFN, to level: PageLevel) throws(PageTableError) {
        schedulePoint(.directMap)
        try table.split(pfn.rawValue, to: level)
    }

    /// Unmaps the frames and nothing else; larger pages are split.
    ///
    /// - Returns: how many mappings were removed
    /// - Throws: `.outOfTablePages`; then nothing is unmapped
    @discardableResult
    public func unmap(_ frames: Range<PFN>) throws(PageTableError) -> Int {
        schedulePoint(.directMap)
        return try table.zapExactly(Self.plain(frames))
    }

    /// Maps the frames that are not mapped, and makes large pages of what is whole again. What is mapped stays mapped
    /// throughout.
    ///
    /// - Throws: `.outOfTablePages`; what was mapped before the error stays mapped
    public func restore(_ frames: Range<PFN>) throws(PageTableError) {
        schedulePoint(.directMap)
        var pfn = frames.lowerBound
        while pfn < frames.upperBound {
            let end = min(pfn.aligned(down: .size2M) + 512, frames.upperBound)
            if level(of: pfn) ?? .level4K == .level4K { try restoreRegion(pfn..<end) }
            if end.rawValue & (PageLevel.level1G.pageCount - 1) == 0 || end == frames.upperBound {
                table.collapse(pfn.rawValue, to: .level1G)
            }
            pfn = end
        }
    }

    /// Maps what is not mapped of a part of one 2 MiB region.
    private func restoreRegion(_ frames: Range<PFN>) throws(PageTableError) {
        let first = frames.lowerBound
        do throws(PageTableError) {
            if frames.count == 512 {
                try table.map(first.rawValue, to: first, level: .level2M, flags: .kernel)
                return
            }
        } catch {
            guard case .occupied = error else { throw error }
        }
        try table.mapRange(Self.plain(frames), to: first, flags: .kernel, largest: .level4K)
        table.collapse(first.rawValue, to: .level2M)
    }

    /// Makes a large page of the 512 mappings around a frame, if they allow it.
    @discardableResult
    public func collapse(_ pfn: PFN, to level: PageLevel) -> Bool {
        schedulePoint(.directMap)
        return table.collapse(pfn.rawValue, to: level)
    }

    /// Gives back the frames of all tables.
    public func destroy() { table.destroy() }

    private static func plain(_ frames: Range<PFN>) -> Range<UInt64> {
        frames.lowerBound.rawValue..<frames.upperBound.rawValue
    }
}
