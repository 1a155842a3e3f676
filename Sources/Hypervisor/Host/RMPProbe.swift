// What the kernel makes of the RMP's registers before it turns SNP on.

public import Machine
public import SNPArchitecture

/// Why the RMP that BIOS left cannot be used.
public enum RMPProbeFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// BIOS has reserved no memory: a register is zero.
    case notReserved
    /// The end lies before the base.
    case endBeforeBase
    /// The bounds are not multiples of 1 MiB.
    case notAligned
    /// The registers of a core differ from those of the first.
    case differsBetweenCores(core: Int)
    /// It has too few entries for DRAM and itself.
    case tooSmall(needed: UInt64, found: UInt64)
    /// RMP_END is not zero, and the RMP is segmented.
    case endOfSegmented
    /// The processor knows no segments of `1 << shift` bytes.
    case segmentSize(shift: UInt8)
    /// The table has more segments than the processor can have.
    case tooManySegments(Int, limit: Int)
    /// The segment table, or the entries of a segment, are not in memory.
    case outsideMemory(SPA)
    /// The last segment ends before memory does.
    case segmentsTooSmall(needed: UInt64, covered: UInt64)

    /// What is wrong, in words.
    public var description: String {
        switch self {
        case .notReserved: "BIOS has reserved no memory for an RMP"
        case .endBeforeBase: "the RMP ends before it begins"
        case .notAligned: "the bounds of the RMP are not multiples of 1 MiB"
        case .differsBetweenCores(let core): "core \(core) has other bounds of the RMP than core 0"
        case .tooSmall(let needed, let found):
            "the RMP has \(found) bytes, and \(needed) are needed to cover memory and itself"
        case .endOfSegmented: "the RMP is segmented and yet has an end"
        case .segmentSize(let shift): "the processor has no RMP segments for 2^\(shift) bytes of memory"
        case .tooManySegments(let count, let limit): "\(count) RMP segments, and the processor can have \(limit)"
        case .outsideMemory(let spa): "the part of the RMP at \(spa) is not in memory"
        case .segmentsTooSmall(let needed, let covered):
            "the RMP's segments end at \(covered) bytes, and memory has \(needed)"
        }
    }
}

/// Where an RMP in one piece lies, as the registers say.
public struct RMPProbe: Hashable, Sendable {
    /// RMP_BASE.
    public var base: SPA
    /// RMP_END.
    public var end: SPA

    /// The bits of the registers that hold an address.
    static let addressBits: UInt64 = (1 << 52 - 1) & ~0x1fff

    /// Reads the registers and judges them.
    ///
    /// - Parameter frameCount: frames up to the end of DRAM
    /// - Spec: patch 11 of the series; Linux: `snp_probe_rmptable_info()`
    /// - Throws: in check order: `.notReserved`, `.endBeforeBase`, `.notAligned`, `.differsBetweenCores`, `.tooSmall`
    /// - Deviates: Linux leaves alignment and equality to firmware, which refuses both as INVALID_CONFIG
    public init(_ cores: [CoreRegisters], frameCount: UInt64) throws(RMPProbeFailure) {
        let (base, end) = (cores[0].rmpBase, cores[0].rmpEnd)
        guard base & Self.addressBits != 0, end & Self.addressBits != 0 else { throw .notReserved }
        guard base <= end else { throw .endBeforeBase }
        guard base & 0xf_ffff == 0, end & 0xf_ffff == 0xf_ffff else { throw .notAligned }
        for (index, core) in cores.enumerated()
        where core.rmpBase != base || core.rmpEnd != end || core.rmpConfiguration != cores[0].rmpConfiguration {
            throw .differsBetweenCores(core: index)
        }
        // The table may lie past the end of usable memory, and its own pages need entries too.
        let covered = max(frameCount, end >> 12 &+ 1)
        let needed = covered &* RMPEntryRaw.byteCount &+ ReverseMapTable.bookkeepingByteCount
        let found = end &- base &+ 1
        guard needed <= found else { throw .tooSmall(needed: needed, found: found) }
        self.base = SPA(base)
        self.end = SPA(end)
    }
}
