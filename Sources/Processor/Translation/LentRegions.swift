// Which 2 MiB regions of the RMP the TLB depends on. Asked at every entry and at every fill, so it is two arrays and not a
// dictionary.

internal import SNPArchitecture

/// A set of regions, each with a frame in it and the generation at which pages of it were lent.
struct LentRegions {
    /// How many regions there is room for.
    static let capacity = 256
    private static let slotCount = 512

    private struct Slot {
        /// The region plus one; 0 is an empty slot.
        var key: UInt64 = 0
        var pfn = PFN(0)
        var generation: UInt32 = 0
    }

    /// By the number of the region; one whose place is taken has the next that is free.
    private var slots = [Slot](repeating: Slot(), count: Self.slotCount)
    private var used: [Int] = []

    /// What noting a page came to.
    enum Note {
        /// The region is in the set at this generation.
        case known
        /// It was added.
        case added
        /// There is no room, or its generation has changed: the set must be emptied first.
        case conflict
    }

    /// Notes that a page of a frame's region was lent.
    mutating func note(_ pfn: PFN, _ generation: UInt32) -> Note {
        let region = pfn.rawValue >> 9
        var index = Int(truncatingIfNeeded: region) & (Self.slotCount - 1)
        while slots[index].key != 0 {
            if slots[index].key == region &+ 1 { return slots[index].generation == generation ? .known : .conflict }
            index = (index + 1) & (Self.slotCount - 1)
        }
        guard used.count < Self.capacity else { return .conflict }
        slots[index] = Slot(key: region &+ 1, pfn: pfn, generation: generation)
        used.append(index)
        return .added
    }

    /// Whether all regions satisfy a condition on frame and generation.
    func allSatisfy(_ condition: (PFN, UInt32) -> Bool) -> Bool {
        for index in used where !condition(slots[index].pfn, slots[index].generation) { return false }
        return true
    }

    /// Empties the set.
    mutating func removeAll() {
        for index in used { slots[index] = Slot() }
        used.removeAll(keepingCapacity: true)
    }
}
