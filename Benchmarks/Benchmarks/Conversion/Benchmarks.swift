import Benchmark
import Hypervisor
import Machine
import Rampart
import SNPArchitecture

/// Each conversion stands beside its limit: the time to write as many RMP entries of 16 bytes at the same places.
let benchmarks: @Sendable () -> Void = {
    let sizes: [(name: String, byteCount: UInt64, order: UInt8)] = [
        ("1G at 4K", 1 << 30, 0), ("16G at 4K", 16 << 30, 0), ("1G at 2M", 1 << 30, 9), ("64G at 2M", 64 << 30, 9),
        ("1T at 2M", 1 << 40, 9),
    ]
    for size in sizes {
        let pages = Int(size.byteCount >> (size.order == 9 ? 21 : 12))
        let configuration = Benchmark.Configuration(
            metrics: [.wallClock], tags: ["pages": "\(pages)"], warmupIterations: 1, maxDuration: .seconds(20),
            maxIterations: 7)
        nonisolated(unsafe) var guest: Guest?
        // Attribute, direct map, RMP; nothing is mapped in the nested tables.
        Benchmark("\(size.name): to private", configuration: configuration) { benchmark in
            guard let guest else { return }
            benchmark.startMeasurement()
            try guest.convert(.private)
            benchmark.stopMeasurement()
            try guest.convert(.shared)
        } setup: {
            guest = try Guest(byteCount: size.byteCount, folioOrder: size.order)
        } teardown: {
            guest = nil
        }
        // The same back, with every page mapped in the nested tables and so to be zapped.
        Benchmark("\(size.name): to shared, mapped", configuration: configuration) { benchmark in
            guard let guest else { return }
            try guest.convert(.private)
            try guest.touch()
            benchmark.startMeasurement()
            try guest.convert(.shared)
            benchmark.stopMeasurement()
        } setup: {
            guest = try Guest(byteCount: size.byteCount, folioOrder: size.order)
        } teardown: {
            guest = nil
        }
        nonisolated(unsafe) var machine: Machine?
        Benchmark("\(size.name): limit, RMP entries written", configuration: configuration) { benchmark in
            guard let machine else { return }
            benchmark.startMeasurement()
            writeEntries(machine, pages: UInt64(pages), stride: size.order == 9 ? 512 : 1)
            benchmark.stopMeasurement()
        } setup: {
            machine = try Machine(
                MachineConfiguration(dramByteCount: size.byteCount + size.byteCount / 64 + (64 << 20)))
            machine.map { writeEntries($0, pages: UInt64(pages), stride: size.order == 9 ? 512 : 1) }
        } teardown: {
            machine = nil
        }
    }
    attributeBenchmarks()
}

/// Writes 16 bytes at the place of each page's RMP entry, in plain memory.
@inline(never)
func writeEntries(_ machine: Machine, pages: UInt64, stride: UInt64) {
    let base = machine.rmp.base.rawValue + ReverseMapTable.bookkeepingByteCount
    for page in 0..<pages {
        let entry = SPA(base + page * stride * RMPEntryRaw.byteCount)
        machine.memory.storeQuadword(page << 12 | 1, at: entry)
        machine.memory.storeQuadword(0xf, at: SPA(entry.rawValue + 8))
    }
}

/// Alternating pages of a guest of 1 TiB: every call makes a range of its own.
func attributeBenchmarks() {
    for count in [10_000, 100_000, 1_000_000] {
        Benchmark(
            "attributes: \(count) alternating pages of 1T",
            configuration: .init(
                metrics: [.wallClock], tags: ["pages": "\(count)"], warmupIterations: 1, maxDuration: .seconds(20),
                maxIterations: 5)
        ) { _ in
            let attributes = MemoryAttributes()
            // Spread over the whole guest, so that neighbours in time are not neighbours in the tree.
            var gfn: UInt64 = 0
            for _ in 0..<count {
                gfn = (gfn &+ 2 * 67_108_859) & 0xfff_ffff
                attributes.set(GFN(gfn & ~1)..<GFN(gfn & ~1) + 1, to: .private)
            }
            blackHole(attributes.nodeCount)
        }
    }
}
