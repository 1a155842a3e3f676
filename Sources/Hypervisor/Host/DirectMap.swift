// The kernel's mapping of all DRAM, one to one. It starts with the largest pages.
//
// A host write through a 2 MiB (or 1 GiB) mapping faults if any 4 KiB page of the 2 MiB region is assigned, even if the write
// is for a neighbour. So a region that gets 4 KiB RMP entries is mapped with 4 KiB pages, and joined again when nothing in
// it is assigned any more. A 2 MiB RMP entry needs no split: all of its region is the guest's.

public import Machine
public import SNPArchitecture
internal import Scheduling

/// The direct map.
///
/// - Spec: patch 15 of the series; Linux: `adjust_direct_map()`
public final class DirectMap: @unchecked Sendable {
    /// The page table; host virtual page n maps frame n.
    public let table: DirectMapTable
    private let lock = Lock(.directMap)
    /// For each GiB, how many of its 2 MiB regions are mapped with 4 KiB pages.
    private var smallRegions: [UInt16]
    /// How many calls under way rely on a 2 MiB region being mapped with 4 KiB pages, by region.
    private var claims: [UInt64: Int] = [:]
    private let frameCount: UInt64

    init(machine: Machine, allocator: HostPageAllocator) throws(Errno) {
        do {
            frameCount = machine.memory.frameCount
            table = try DirectMapTable(
                memory: machine.memory, pages: TablePages(allocator: allocator), frames: PFN(0)..<PFN(frameCount))
            smallRegions = Array(repeating: 0, count: Int(frameCount >> 18) + 1)
        } catch { throw .noMemory }
    }

    /// Maps the 2 MiB region of a frame with 4 KiB pages and keeps it so until `release`: for a caller who is about to make
    /// 4 KiB RMP entries there. Returns how many mappings were split.
    ///
    /// - Throws: ENOMEM without a frame for a table; then nothing is claimed
    public func claimSmallPages(around pfn: PFN) throws(Errno) -> UInt64 {
        try lock.withLock { () throws(Errno) in
            var splits: UInt64 = 0
            if let level = table.level(of: pfn), level != .level4K {
                do { try table.split(pfn, to: .level4K) } catch {
                    joinGigabyte(of: pfn)
                    throw .noMemory
                }
                smallRegions[Int(pfn.rawValue >> 18)] += 1
                splits = level == .level1G ? 2 : 1
            }
            claims[pfn.rawValue >> 9] = (claims[pfn.rawValue >> 9] ?? 0) + 1
            return splits
        }
    }

    /// Ends a claim, and joins the region's mappings if nobody needs them small. Returns how many joins were made.
    public func release(around pfn: PFN, _ rmp: HostRMP) -> UInt64 {
        lock.withLock {
            let left = (claims[pfn.rawValue >> 9] ?? 0) - 1
            precondition(left >= 0, "a claim is released twice")
            claims[pfn.rawValue >> 9] = left == 0 ? nil : left
            return joinIfUnused(pfn, rmp)
        }
    }

    /// Joins the mappings of a frame's 2 MiB region, and of its GiB when all of that is large, if nothing in the region is
    /// assigned and nobody is about to assign anything. Returns how many joins were made.
    public func restore(around pfn: PFN, _ rmp: HostRMP) -> UInt64 {
        lock.withLock { joinIfUnused(pfn, rmp) }
    }

    private func joinIfUnused(_ pfn: PFN, _ rmp: HostRMP) -> UInt64 {
        guard claims[pfn.rawValue >> 9] == nil, table.level(of: pfn) == .level4K,
            !(rmp.lookup(pfn)?.regionHasAssignedPages ?? rmp.isOn), table.collapse(pfn, to: .level2M)
        else { return 0 }
        smallRegions[Int(pfn.rawValue >> 18)] -= 1
        return joinGigabyte(of: pfn) ? 2 : 1
    }

    @discardableResult
    private func joinGigabyte(of pfn: PFN) -> Bool {
        let gigabyte = pfn.rawValue >> 18
        return smallRegions[Int(gigabyte)] == 0 && (gigabyte + 1) << 18 <= frameCount
            && table.collapse(pfn, to: .level1G)
    }

    func checkpoint() -> Checkpoint {
        let saved = (smallRegions, claims, table.table.tablePageCount)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            (smallRegions, claims) = (saved.0, saved.1)
            table.table.restoreCount(saved.2)
        }
        return checkpoint
    }

    /// The level at which a frame is mapped.
    public func level(of pfn: PFN) -> PageLevel? { lock.withLock { table.level(of: pfn) } }
}

extension HostAccess {
    /// The host's port to memory through its direct map.
    init(machine: Machine, directMap: DirectMap) {
        self.init(memory: machine.memory, rmp: machine.rmp, root: directMap.table.root)
    }
}
