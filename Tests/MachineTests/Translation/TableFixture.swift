// DRAM with an RMP over part of it, and a source of table pages that counts what is out.

import Machine
import SNPArchitecture
import Testing

/// Hands out frames from `first` up, each once until it comes back; fails on request.
final class CountingPages: TablePageSource, @unchecked Sendable {
    private var next: UInt64
    private var free: [PFN] = []
    private(set) var out: Set<PFN> = []
    /// How many more pages to hand out, or nil for no limit.
    var left: Int?

    init(first: PFN) { next = first.rawValue }

    func allocateTablePage() -> PFN? {
        if let left {
            guard left > 0 else { return nil }
            self.left = left - 1
        }
        let pfn: PFN
        if let last = free.popLast() {
            pfn = last
        } else {
            pfn = PFN(next)
            next += 1
        }
        precondition(out.insert(pfn).inserted, "handed out twice")
        return pfn
    }

    func freeTablePage(_ pfn: PFN) {
        #expect(out.remove(pfn) != nil, "came back, and was not out")
        free.append(pfn)
    }
}

/// 512 MiB of DRAM. The RMP covers the first 252 MiB; table pages lie from 400 MiB on.
struct TableFixture {
    let memory: PhysicalMemory
    let rmp: ReverseMapTable
    let epochs = TranslationEpochs()
    let pages = CountingPages(first: PFN(400 << 8))

    init() throws {
        let encryption = MemoryEncryption(tweakKey: (0..<16).map { UInt8($0) })
        memory = try PhysicalMemory(byteCount: 512 << 20, encryption: encryption)
        rmp = try ReverseMapTable(
            memory: memory, layout: .contiguous(base: SPA(511 << 20), byteCount: 1 << 20))
    }

    func makeTable() throws -> PageTable { try PageTable(memory: memory, pages: pages) }
}
