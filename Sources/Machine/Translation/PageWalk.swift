// The processor's page walk: the same for the host's own tables and for nested tables, but for the user bit.
//
// Left out: the walk's own accesses to table frames are not checked against the RMP; accessed bits are set once the whole
// walk has succeeded, not entry by entry.

public import SNPArchitecture

/// Where a walk has led.
@frozen public struct WalkedPage: Hashable, Sendable {
    /// The 4 KiB frame.
    public var pfn: PFN
    /// The level of the mapping.
    public var level: PageLevel
    /// Whether every entry on the way allows writes.
    public var isWritable: Bool
    /// Whether every entry on the way allows instruction fetches.
    public var isExecutable: Bool
    /// Whether the mapping is marked dirty, so that a later write has nothing to mark.
    public var isDirty: Bool
}

/// Why a walk did not lead to a page.
@frozen public struct WalkFault: Error, Hashable, Sendable {
    /// The bits P, RW, US, RSV and ID of the error code.
    public var error: PageFaultError
    /// Makes a fault.
    @inlinable public init(error: PageFaultError) { self.error = error }
}

/// Who makes an access, as far as the U bit goes.
@frozen public enum WalkMode: Sendable {
    /// The host's kernel: U does not matter.
    case supervisor
    /// User mode, and every nested access: U must be set.
    case user
}

extension PhysicalMemory {
    /// Walks four levels of tables and marks accessed and dirty.
    ///
    /// - Spec: APM2 5.3 (translation), 5.4 (protection), 15.25.6 (nested page faults)
    /// - Throws: in check order: an entry not present, a reserved bit set, both from the top down; then user, write, fetch not
    ///   allowed
    /// - Deviates: a table outside DRAM reads as all ones, which has reserved bits set
    public func walk(
        root: PFN, address: UInt64, kind: AccessKind, mode: WalkMode
    ) throws(WalkFault) -> WalkedPage {
        var base: PageFaultError = mode == .user ? .user : []
        if kind == .write { base.formUnion(.write) }
        if kind == .execute { base.formUnion(.instructionFetch) }
        guard address < 1 << 48 else { throw WalkFault(error: base) }
        while true {
            var path = WalkPath()
            let page = try read(&path, root: root, address: address, base)
            guard mode == .supervisor || path.isUser else { throw WalkFault(error: base.union(.present)) }
            guard kind != .write || page.isWritable else { throw WalkFault(error: base.union(.present)) }
            guard kind != .execute || page.isExecutable else { throw WalkFault(error: base.union(.present)) }
            // An entry that changes under the walk makes it start again, so that a removed entry is never written back.
            if mark(path, dirty: kind == .write) { return page }
        }
    }

    /// The entries that a walk has read, so that they can be marked.
    private struct WalkPath {
        var addresses: (SPA, SPA, SPA, SPA) = (SPA(0), SPA(0), SPA(0), SPA(0))
        var entries: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var count = 0
        var isUser = true

        mutating func append(_ spa: SPA, _ entry: UInt64) {
            switch count {
            case 0: (addresses.0, entries.0) = (spa, entry)
            case 1: (addresses.1, entries.1) = (spa, entry)
            case 2: (addresses.2, entries.2) = (spa, entry)
            case 3: (addresses.3, entries.3) = (spa, entry)
            case _: preconditionFailure("four levels")
            }
            count += 1
        }
    }

    private func read(
        _ path: inout WalkPath, root: PFN, address: UInt64, _ base: PageFaultError
    ) throws(WalkFault) -> WalkedPage {
        var table = root
        var level: UInt64 = 4
        var all = ~0 as UInt64
        var noExecute: UInt64 = 0
        while true {
            let spa = SPA(table.rawValue << 12 | PageTable.index(address >> 12, level) << 3)
            let raw = contains(table) ? loadQuadword(at: spa) : ~0
            let entry = PageTableEntry(rawValue: raw)
            guard entry.isPresent else { throw WalkFault(error: base) }
            guard !entry.hasReservedBits(atLevel: level) else {
                throw WalkFault(error: base.union([.present, .reserved]))
            }
            path.append(spa, raw)
            all &= raw
            noExecute |= raw
            if entry.isLeaf(atLevel: level), let size = PageLevel(rawValue: UInt8(level)) {
                path.isUser = all & PageFlags.user.rawValue != 0
                // Bit 12 of a large page's entry is PAT, not address.
                let start = entry.pfn.rawValue & ~(size.pageCount - 1)
                return WalkedPage(
                    pfn: PFN(start | address >> 12 & (size.pageCount - 1)), level: size,
                    isWritable: all & PageFlags.writable.rawValue != 0,
                    isExecutable: noExecute & PageFlags.noExecute.rawValue == 0,
                    isDirty: raw & PageFlags.dirty.rawValue != 0)
            }
            table = entry.pfn
            level -= 1
        }
    }

    /// Marks the entries accessed and, on a write, the last one dirty. False if one of them has changed.
    private func mark(_ path: WalkPath, dirty: Bool) -> Bool {
        let accessed = PageFlags.accessed.rawValue
        func mark(_ spa: SPA, _ entry: UInt64, _ bits: UInt64) -> Bool {
            entry & bits == bits || exchangeQuadword(entry | bits, ifEqualTo: entry, at: spa)
        }
        let last = path.count - 1
        let leafBits = accessed | (dirty ? PageFlags.dirty.rawValue : 0)
        guard mark(path.addresses.0, path.entries.0, accessed) else { return false }
        guard mark(path.addresses.1, path.entries.1, last == 1 ? leafBits : accessed) else { return false }
        guard last < 2 || mark(path.addresses.2, path.entries.2, last == 2 ? leafBits : accessed) else { return false }
        return last < 3 || mark(path.addresses.3, path.entries.3, leafBits)
    }
}
