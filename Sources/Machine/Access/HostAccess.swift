// The host kernel's accesses through the direct map. Reads are never checked by the RMP: they see ciphertext.

public import SNPArchitecture
internal import Scheduling

/// The host's port to memory. Any number of threads may use it.
public struct HostAccess: Sendable {
    /// The machine's DRAM.
    public let memory: PhysicalMemory
    /// The machine's RMP.
    public let rmp: ReverseMapTable
    /// The frame of the direct map's top table.
    public let root: PFN

    /// Makes a port.
    public init(memory: PhysicalMemory, rmp: ReverseMapTable, root: PFN) {
        self.memory = memory
        self.rmp = rmp
        self.root = root
    }

    /// Checks one access: by the direct map, then, for a write, by the RMP at the size of the mapping.
    ///
    /// - Spec: APM2 8.4.2, 15.36.10
    /// - Throws: #PF of the walk; #PF with P, RW and RMP (the frame, or its 2 MiB region under a large mapping, is assigned)
    /// - Deviates: a change of the RMP between the check and the access is not noticed on real threads
    public func check(_ spa: SPA, _ kind: AccessKind) throws(HostPageFault) {
        let page: WalkedPage
        do {
            page = try memory.walk(root: root, address: spa.rawValue, kind: kind, mode: .supervisor)
        } catch {
            throw HostPageFault(address: spa, error: error.error)
        }
        guard kind != .write || rmp.allowsHostWrite(page.pfn, level: page.level) else {
            throw HostPageFault(address: spa, error: [.present, .write, .rmp])
        }
    }

    /// Reads bytes as the host sees them: a private page gives ciphertext.
    ///
    /// - Throws: as `check`, for the first page that faults
    public func bytes(_ spa: SPA, count: Int) throws(HostPageFault) -> [UInt8] {
        if count > 0, spa.pageOffset + count <= 4096 {
            schedulePoint(.hostAccess)
            try check(spa, .read)
            guard memory.contains(spa, count: UInt64(count)) else { return [UInt8](repeating: 0xff, count: count) }
            return memory.bytes(spa, count: count)
        }
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            schedulePoint(.hostAccess)
            let here = SPA(spa.rawValue &+ UInt64(result.count))
            try check(here, .read)
            let piece = min(4096 - here.pageOffset, count - result.count)
            result +=
                memory.contains(here, count: UInt64(piece))
                ? memory.bytes(here, count: piece) : [UInt8](repeating: 0xff, count: piece)
        }
        return result
    }

    /// Stores bytes.
    ///
    /// - Throws: as `check`, for the first page that faults; bytes before it have been stored
    public func store(_ bytes: ArraySlice<UInt8>, at spa: SPA) throws(HostPageFault) {
        var done = 0
        while done < bytes.count {
            schedulePoint(.hostAccess)
            let here = SPA(spa.rawValue &+ UInt64(done))
            try check(here, .write)
            let piece = min(4096 - here.pageOffset, bytes.count - done)
            if memory.contains(here, count: UInt64(piece)) {
                memory.store(bytes.dropFirst(done).prefix(piece), at: here)
                rmp.audit.completedWrite(by: "the host", here.frame, rmp.effectiveEntry(here.frame))
            }
            done += piece
        }
    }

    /// Stores a little-endian quadword.
    ///
    /// - Precondition: the address is a multiple of 8
    /// - Throws: as `check`
    public func store(_ value: UInt64, at spa: SPA) throws(HostPageFault) {
        schedulePoint(.hostAccess)
        try check(spa, .write)
        guard memory.contains(spa, count: 8) else { return }
        memory.store(value, at: spa)
        rmp.audit.completedWrite(by: "the host", spa.frame, rmp.effectiveEntry(spa.frame))
    }

    /// Stores a whole array.
    ///
    /// - Throws: as the store of a slice
    public func store(_ bytes: [UInt8], at spa: SPA) throws(HostPageFault) { try store(bytes[...], at: spa) }

    /// Fills a 4 KiB frame with zeros.
    ///
    /// - Throws: as `check`
    public func clear(_ pfn: PFN) throws(HostPageFault) {
        schedulePoint(.hostAccess)
        try check(pfn.address, .write)
        memory.zero(pfn)
        rmp.audit.completedWrite(by: "the host", pfn, rmp.effectiveEntry(pfn))
    }
}
