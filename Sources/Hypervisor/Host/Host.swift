// The host kernel: what all virtual machines share. It owns DRAM's frames, the direct map and the list of leaked pages,
// reaches the RMP by its instructions and firmware by the mailbox.

public import Machine
public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// A host that runs SEV-SNP guests.
public final class Host: Sendable {
    /// The machine under it.
    public let machine: Machine
    /// The frames of DRAM.
    public let allocator: HostPageAllocator
    /// The RMP.
    public let rmp: HostRMP
    /// The kernel's mapping of all DRAM.
    public let directMap: DirectMap
    /// Pages lost for good.
    public let leaked: LeakedPages
    /// The way to the firmware.
    public let firmware: FirmwareDriver
    /// ASIDs of SEV-ES and SNP guests.
    public let asids: ASIDAllocator
    /// Traces' way to hear of calls that change memory attributes.
    public let attributeWatch = AttributeWatch()

    /// What the kernel was told when it booted.
    public let parameters: HostParameters
    /// SNP on and off.
    let snp: SNPSwitch
    /// What is broken on purpose; nothing, but for explorers.
    let defects: KnownDefects

    /// Boots a host on a machine: direct map built, SNP off. `initializeSNP` turns SNP on.
    ///
    /// What BIOS reserves, and the IOMMUs' buffers, are never handed out. On a machine where an earlier kernel left SNP on,
    /// neither are frames of regions in which the RMP has assigned pages: a write there would fault.
    ///
    /// - Throws: ENOMEM when DRAM is too small for the direct map's tables
    /// - Deviates: Linux does not look for pages that an earlier kernel left assigned
    public init(
        machine: Machine, parameters: HostParameters = HostParameters(), defects: KnownDefects = []
    ) throws(Errno) {
        self.machine = machine
        self.parameters = parameters
        snp = SNPSwitch()
        self.defects = defects
        // The RMP and what shares its 2 MiB regions is never handed out: a neighbour could not become a 2 MiB page.
        allocator = HostPageAllocator(
            frames: PFN(512)..<PFN(machine.memory.frameCount), excluding: MachineConfiguration.hyperTransportFrames)
        for table in machine.rmp.tableFrames {
            guard !defects.has(.rmpNeighboursUsed) else {
                allocator.reserve(table)
                continue
            }
            allocator.reserve(table.lowerBound.aligned(down: .size2M)..<(table.upperBound + 511).aligned(down: .size2M))
        }
        for entry in machine.configuration.reservedMemory { allocator.reserve(entry.frames) }
        for buffer in machine.iommu.buffers { allocator.reserve(buffer) }
        if machine.cores.snpEnabled { Self.reserveAssigned(machine.rmp, allocator) }
        rmp = HostRMP(machine.rmp, snp: snp, defects: defects)
        leaked = LeakedPages()
        directMap = try DirectMap(machine: machine, allocator: allocator)
        firmware = try FirmwareDriver(
            machine: machine, allocator: allocator, rmp: rmp, leaked: leaked, directMap: directMap,
            snp: snp, defects: defects)
        asids = ASIDAllocator(
            limit: min(machine.configuration.minimumSEVASID, machine.configuration.asidCount + 1),
            defects: defects)
    }

    /// Keeps the memory that an earlier kernel left to guests or firmware, by regions of 2 MiB.
    private static func reserveAssigned(_ table: ReverseMapTable, _ allocator: HostPageAllocator) {
        allocator.forgetFreshness()
        for head in stride(from: 0, to: table.coveredFrameCount, by: 512).map({ PFN($0) }) {
            guard let read = try? table.rmpRead(head.address), read.regionHasAssignedPages else { continue }
            allocator.reserve(head..<(head + 512))
        }
    }

    /// The kernel's and user processes' accesses, through the direct map.
    public var access: HostAccess { HostAccess(machine: machine, directMap: directMap) }

    /// A load of the kernel or of a user process, through the direct map. The RMP never refuses one.
    ///
    /// - Throws: EFAULT when the direct map does not map the bytes
    public func read(_ spa: SPA, count: Int) throws(Errno) -> [UInt8] {
        do { return try access.bytes(spa, count: count) } catch { throw .badAddress }
    }

    /// A store of the kernel or of a user process, through the direct map.
    ///
    /// - Throws: EFAULT when the RMP or the page table refuses: on a real host a page fault with the RMP bit
    public func write(_ bytes: ArraySlice<UInt8>, at spa: SPA) throws(Errno) {
        do { try access.store(bytes, at: spa) } catch { throw .badAddress }
    }

    /// A store of a whole array.
    ///
    /// - Throws: as the store of a slice
    public func write(_ bytes: [UInt8], at spa: SPA) throws(Errno) { try write(bytes[...], at: spa) }

    /// Clears a frame that the host owns, through the direct map.
    func clearFrame(_ pfn: PFN) {
        do {
            try access.clear(pfn)
        } catch {
            stopForGood("the host clears frame \(pfn), which the RMP does not let it write: \(error)")
        }
    }
}
