// The emulated SNP machine: DRAM, its encryption, the RMP, the cores' registers and the mailbox.
//
// Who uses what: the hypervisor reaches the RMP by its instructions and firmware by the mailbox; firmware reaches DRAM and
// RMP entries directly; accesses of host, guests and devices are checked in `Access/`.

internal import SNPArchitecture
internal import Scheduling

/// One machine.
public final class Machine: Sendable {
    /// What was asked for.
    public let configuration: MachineConfiguration
    /// DRAM.
    public let memory: PhysicalMemory
    /// The Reverse Map Table.
    public let rmp: ReverseMapTable
    /// The cores' registers.
    public let cores: Cores
    /// The IOMMUs.
    public let iommu: IOMMU
    /// The way to the AMD Secure Processor.
    public let mailbox: Mailbox

    /// Flush counters that every processor's translation cache obeys.
    public let epochs = TranslationEpochs()

    /// The keys of the memory controller.
    public var encryption: MemoryEncryption { memory.encryption }

    /// The rows of BIOS's memory map that are no usable DRAM: what the configuration says, and the RMP.
    public var memoryMap: [MemoryMapEntry] {
        configuration.reservedMemory + rmp.tableFrames.map { MemoryMapEntry($0, .reserved) }
    }

    /// Builds a machine as BIOS leaves it: the RMP reserved and its place in the registers, SNP off.
    ///
    /// - Throws: what is wrong with the configuration
    public init(_ configuration: MachineConfiguration = MachineConfiguration()) throws(MachineError) {
        guard configuration.dramByteCount >= 16 << 20 else { throw .tooSmall(configuration.dramByteCount) }
        var entropy = EntropySource(seed: configuration.seed)
        let tweakKey = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &entropy) }
        self.configuration = configuration
        memory = try PhysicalMemory(
            byteCount: configuration.dramByteCount, encryption: MemoryEncryption(tweakKey: tweakKey))
        rmp = try ReverseMapTable(memory: memory, layout: RMPLayout(configuration))
        cores = Cores(count: configuration.coreCount, rmp.layout)
        iommu = IOMMU(configuration.iommuKind, buffers: configuration.iommuBuffers)
        mailbox = Mailbox()
    }
}
