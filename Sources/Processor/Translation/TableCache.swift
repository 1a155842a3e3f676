// What the upper levels of the guest's page tables have said: the paging-structure cache of a processor. Most misses of the
// TLB read one entry and not four.

/// What every entry on the way so far allows.
struct PageRights {
    var allowsUser = true
    var allowsWrite = true
    var forbidsExecute = false
}

/// For regions of 2 MiB of linear addresses, which table has their pages of 4 KiB. Direct mapped; only entries that are
/// present and marked accessed are kept.
///
/// - Spec: APM2 5.5: upper levels may be cached like translations, and go with them
@safe final class TableCache {
    private static let count = 128

    private struct Slot {
        /// The number of the region plus one; 0 is an empty slot.
        var key: UInt64 = 0
        var table: UInt64 = 0
        var rights = PageRights()
    }
    private let slots: UnsafeMutablePointer<Slot>
    @safe @exclusivity(unchecked) private var isEmpty = true

    init() {
        unsafe slots = .allocate(capacity: Self.count)
        unsafe slots.initialize(repeating: Slot(), count: Self.count)
    }

    deinit { unsafe slots.deallocate() }

    /// The slot of a linear address.
    private func slot(_ linear: UInt64) -> UnsafeMutablePointer<Slot> {
        // SAFETY: the index is masked to the number of slots.
        unsafe slots + Int(truncatingIfNeeded: linear >> 21) & (Self.count - 1)
    }

    /// The table for a linear address, and what the entries above it allow.
    func find(_ linear: UInt64) -> (table: UInt64, rights: PageRights)? {
        let slot = unsafe slot(linear)
        guard unsafe slot.pointee.key == linear >> 21 &+ 1 else { return nil }
        return unsafe (slot.pointee.table, slot.pointee.rights)
    }

    /// Keeps a table.
    func insert(_ linear: UInt64, _ table: UInt64, _ rights: PageRights) {
        isEmpty = false
        unsafe slot(linear).pointee = Slot(key: linear >> 21 &+ 1, table: table, rights: rights)
    }

    /// Forgets everything.
    func removeAll() {
        guard !isEmpty else { return }
        unsafe slots.update(repeating: Slot(), count: Self.count)
        isEmpty = true
    }
}
