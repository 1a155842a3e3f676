// The host's page allocator against a set of free frames.

import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Host page allocator")
struct HostPageAllocatorTests {
    @Test("Random blocks of every order: aligned, disjoint, free before and not after; counts agree")
    func random() {
        for seed in TestScale.seeds(20) {
            var entropy = EntropySource(seed: seed)
            let frames = PFN(512)..<PFN(512 * 14)
            let allocator = HostPageAllocator(frames: frames)
            var free = Set(frames)
            var touched: Set<PFN> = []
            var held: [FrameBlock] = []
            for _ in 0..<400 {
                if Int.random(in: 0..<100, using: &entropy) < 60 {
                    let order = UInt8.random(in: 0...9, using: &entropy)
                    let use: FrameUse = Bool.random(using: &entropy) ? .ordinary : .firmware
                    guard let block = allocator.allocate(order: order, for: use) else {
                        let size = UInt64(1) << UInt64(order)
                        let fits = free.contains { pfn in
                            pfn.rawValue % size == 0 && (pfn..<(pfn + size)).allSatisfy { free.contains($0) }
                        }
                        #expect(!fits, "seed \(seed): order \(order) is refused and would fit")
                        continue
                    }
                    #expect(block.order == order && block.frames.count == 1 << Int(order))
                    #expect(block.pfn.rawValue % UInt64(block.frames.count) == 0)
                    for pfn in block.frames {
                        if free.remove(pfn) == nil { Issue.record("seed \(seed): frame \(pfn) is handed out twice") }
                        if block.isFresh, touched.contains(pfn) {
                            Issue.record("seed \(seed): frame \(pfn) is not fresh")
                        }
                        touched.insert(pfn)
                    }
                    held.append(block)
                } else if !held.isEmpty {
                    let block = held.remove(at: Int.random(in: 0..<held.count, using: &entropy))
                    free.formUnion(block.frames)
                    // Sometimes in two halves, or page by page.
                    let parts = [block.order, block.order == 0 ? 0 : block.order - 1, 0][
                        Int.random(in: 0..<3, using: &entropy)]
                    var pfn = block.pfn
                    while pfn < block.frames.upperBound {
                        allocator.free(pfn, order: parts)
                        pfn = pfn + 1 << UInt64(parts)
                    }
                }
                #expect(allocator.freeFrameCount == UInt64(free.count))
            }
            for pfn in frames where allocator.isFree(pfn) != free.contains(pfn) {
                Issue.record("seed \(seed): frame \(pfn) free \(allocator.isFree(pfn))")
                break
            }
            var listed: Set<PFN> = []
            allocator.forEachFreeRunUnlocked { run in for pfn in run { listed.insert(pfn) } }
            #expect(listed == free)
        }
    }

    @Test("1 GiB blocks are aligned and whole; the rest of memory serves small ones")
    func gigabytes() throws {
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(3 << 18))
        let first = try #require(allocator.allocate(order: 18))
        let second = try #require(allocator.allocate(order: 18))
        #expect(first.pfn == PFN(1 << 18) && second.pfn == PFN(2 << 18) && first.isFresh && second.isFresh)
        #expect(allocator.allocate(order: 18) == nil)
        #expect(allocator.allocate(order: 9)?.pfn == PFN(512))
        allocator.free(first.pfn + 512, order: 9)
        #expect(allocator.allocate(order: 18) == nil)
        for chunk in 0..<512 as Range<UInt64> where chunk != 1 { allocator.free(first.pfn + chunk << 9, order: 9) }
        let again = try #require(allocator.allocate(order: 18))
        #expect(again.pfn == first.pfn && !again.isFresh)
    }

    @Test("What was freed is not fresh; what was never handed out is")
    func freshness() throws {
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(2048))
        let block = try #require(allocator.allocate(order: 0))
        #expect(block.isFresh)
        allocator.free(block.pfn, order: 0)
        #expect(allocator.allocate(order: 0)?.isFresh == false)
        #expect(allocator.allocate(order: 9)?.isFresh == true)
    }

    @Test("Small blocks of the two uses never share 2 MiB while whole ones are left, also after some came back")
    func uses() throws {
        for seed in TestScale.seeds(20) {
            var entropy = EntropySource(seed: seed)
            let allocator = HostPageAllocator(frames: PFN(512)..<PFN(512 * 20))
            var users: [PFN: Set<FrameUse>] = [:]
            var held: [(block: FrameBlock, use: FrameUse)] = []
            for _ in 0..<300 {
                if held.count < 12 || Bool.random(using: &entropy) {
                    let use: FrameUse = Bool.random(using: &entropy) ? .ordinary : .firmware
                    let order = UInt8.random(in: 0...(held.count < 30 ? 6 : 0), using: &entropy)
                    held.append((try #require(allocator.allocate(order: order, for: use)), use))
                } else {
                    let (block, _) = held.remove(at: Int.random(in: 0..<held.count, using: &entropy))
                    allocator.free(block.pfn, order: block.order)
                }
                users = [:]
                for (block, use) in held { users[block.pfn.aligned(down: .size2M), default: []].insert(use) }
                let shared = users.filter { $0.value.count > 1 }.keys.sorted()
                #expect(shared == [], "seed \(seed): 2 MiB are of both uses")
            }
            #expect(Set(users.values.joined()).count == 2)
        }
    }

    @Test("Without a whole chunk each use takes what the other has left", arguments: FrameUse.allCases)
    func fallback(use: FrameUse) throws {
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(1536))
        let other: FrameUse = use == .ordinary ? .firmware : .ordinary
        let own = try #require(allocator.allocate(order: 0, for: use)).pfn
        let neighbour = try #require(allocator.allocate(order: 0, for: other)).pfn
        #expect(own.aligned(down: .size2M) != neighbour.aligned(down: .size2M))
        let rest = (0..<1022).compactMap { _ in allocator.allocate(order: 0, for: use)?.pfn }
        #expect(rest.count == 1022 && allocator.freeFrameCount == 0)
        #expect(rest.prefix(511).allSatisfy { $0.aligned(down: .size2M) == own.aligned(down: .size2M) })
        #expect(rest.dropFirst(511).allSatisfy { $0.aligned(down: .size2M) == neighbour.aligned(down: .size2M) })
        // What is free again in both chunks goes to the use that the chunk is of.
        for pfn in [rest[3], rest[600]] { allocator.free(pfn, order: 0) }
        #expect(allocator.allocate(order: 0, for: use)?.pfn == rest[3])
        #expect(allocator.allocate(order: 0, for: use)?.pfn == rest[600])
    }

    @Test("A frame that came back is used before another 2 MiB is broken up", arguments: FrameUse.allCases)
    func cameBack(use: FrameUse) throws {
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(2048))
        let taken = (0..<1024).compactMap { _ in allocator.allocate(order: 0, for: use)?.pfn }
        #expect(taken.count == 1024)
        allocator.free(taken[5], order: 0)
        #expect(allocator.allocate(order: 0, for: use)?.pfn == taken[5])
        #expect(allocator.allocate(order: 9) != nil, "the third 2 MiB are whole")
    }

    @Test("A chunk that is whole again is for any use")
    func usedAgain() throws {
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(1024))
        for use in [FrameUse.firmware, .ordinary, .firmware] {
            let block = try #require(allocator.allocate(order: 0, for: use))
            allocator.free(block.pfn, order: 0)
            let whole = try #require(allocator.allocate(order: 9))
            allocator.free(whole.pfn, order: 9)
        }
    }

    @Test("The same calls give the same frames, also when memory is scattered")
    func deterministic() {
        func run() -> [PFN?] {
            let allocator = HostPageAllocator(frames: PFN(512)..<PFN(512 * 40))
            while allocator.allocate(order: 0) != nil {}
            for chunk in 1..<40 as Range<UInt64> {
                for page in [3, 7, 300] as [UInt64] { allocator.free(PFN(chunk << 9 + page), order: 0) }
            }
            return (0..<60).map { _ in allocator.allocate(order: 0)?.pfn } + [allocator.allocate(order: 2)?.pfn]
        }
        let first = run()
        #expect(first.last == .some(nil))
        #expect((0..<5).allSatisfy { _ in run() == first })
        // No whole chunk is left: the last resort must not depend on the order of a hash table.
        let allocator = HostPageAllocator(frames: PFN(512)..<PFN(512 * 40))
        while allocator.allocate(order: 0) != nil {}
        for chunk in (1..<40 as Range<UInt64>).reversed() {
            for page in 8..<12 as Range<UInt64> { allocator.free(PFN(chunk << 9 + page), order: 0) }
        }
        let top = allocator.allocate(order: 0)
        #expect(top?.pfn == PFN(1 << 9 + 8), "the chunk that was freed last")
        #expect(allocator.allocate(order: 2)?.pfn == PFN(2 << 9 + 8), "then the lowest chunk with room")
    }

    @Test("Freeing a frame twice stops the program: the books would be wrong for good")
    func doubleFree() async {
        await #expect(processExitsWith: .failure) {
            let allocator = HostPageAllocator(frames: PFN(512)..<PFN(1024))
            guard let block = allocator.allocate(order: 9) else { return }
            allocator.free(block.pfn, order: 9)
            allocator.free(block.pfn, order: 9)
        }
    }
}
