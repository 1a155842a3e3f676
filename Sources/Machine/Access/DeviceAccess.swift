// Accesses of devices: the IOMMU's RMP check. Address translation by the IOMMU is left out: a device names frames.

public import SNPArchitecture
internal import Scheduling

/// A device's port to memory. Any number of threads may use it.
public struct DeviceAccess: Sendable {
    /// The machine's DRAM.
    public let memory: PhysicalMemory
    /// The machine's RMP.
    public let rmp: ReverseMapTable

    /// Makes a port.
    public init(memory: PhysicalMemory, rmp: ReverseMapTable) {
        self.memory = memory
        self.rmp = rmp
    }

    /// Reads bytes as DMA sees them: a private page gives ciphertext. Past DRAM all bits are one.
    public func bytes(_ spa: SPA, count: Int) -> [UInt8] {
        schedulePoint(.hostAccess)
        guard memory.contains(spa, count: UInt64(count)) else { return [UInt8](repeating: 0xff, count: count) }
        return memory.bytes(spa, count: count)
    }

    /// Stores bytes. Nothing is stored past DRAM.
    ///
    /// - Spec: IOMMU specification, RMP_PAGE_FAULT event; APM2 15.36.10
    /// - Throws: `DeviceFault` at the first page that is assigned; bytes before it have been stored
    /// - Deviates: every page counts as mapped at 4 KiB by the IOMMU
    public func store(_ bytes: [UInt8], at spa: SPA) throws(DeviceFault) {
        var done = 0
        while done < bytes.count {
            schedulePoint(.hostAccess)
            let here = SPA(spa.rawValue &+ UInt64(done))
            guard rmp.allowsHostWrite(here.frame, level: .level4K) else { throw DeviceFault(address: here) }
            let piece = min(4096 - here.pageOffset, bytes.count - done)
            if memory.contains(here, count: UInt64(piece)) {
                memory.store(bytes[done..<done + piece], at: here)
                rmp.audit.completedWrite(by: "a device", here.frame, rmp.effectiveEntry(here.frame))
            }
            done += piece
        }
    }
}
