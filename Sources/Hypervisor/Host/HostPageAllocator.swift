// The host's page allocator: frames of DRAM in blocks of 2^order, 0 to 9, and 18 (1 GiB).
//
// Whole 2 MiB chunks are one bit each; a chunk in partial use has a 512-bit map of its free frames. So a host of 1 TiB
// costs 64 KiB of bits and a map for each chunk that holds small blocks.
//
// A chunk in partial use serves one use while whole chunks are left: pages that stay assigned as long as a guest lives would
// keep the direct map small around any neighbour (`FrameUse`).

public import SNPArchitecture
internal import Scheduling

/// What small blocks are for: each use has chunks of its own, so that the direct map around one does not depend on the other.
///
/// - Deviates: Linux knows no such use of its pages; they lie anywhere
public enum FrameUse: Int, CaseIterable, Sendable {
    /// Anything else: guests' memory, the VMM's, tables.
    case ordinary
    /// Pages that become firmware's, or a VMSA, for as long as a guest lives or firmware needs them.
    case firmware
}

/// A run of frames that the allocator gave out.
public struct FrameBlock: Hashable, Sendable {
    /// The first frame, a multiple of the block's size.
    public var pfn: PFN
    /// The block is 2^order frames.
    public var order: UInt8
    /// No frame of the block was ever given out before, so it is zero.
    public var isFresh: Bool
    /// The frames.
    public var frames: Range<PFN> { pfn..<(pfn + 1 << UInt64(order)) }
}

/// Gives out and takes back frames. Its lock guards all of its state, and no schedule point is reached with a part of it in
/// use: so that is not checked for exclusive access.
public final class HostPageAllocator: @unchecked Sendable {
    /// The orders it serves: 0 to 9, and 18.
    public static let orders: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 18]

    private let lock = Lock(.allocator)
    private let chunkCount: Int
    /// One bit for each chunk: 1 while the whole chunk is free.
    @safe @exclusivity(unchecked) private var freeChunks: [UInt64]
    /// Free frames of chunks in partial use, 8 words each.
    @safe @exclusivity(unchecked) private var partial: [Int: FreeFrames] = [:]
    /// For each use, chunks with a free frame for small blocks, most recent last; may hold stale members.
    @safe @exclusivity(unchecked) private var candidates = [[Int]](repeating: [], count: FrameUse.allCases.count)
    /// Chunks below this one have been given out at least once.
    @safe @exclusivity(unchecked) private var freshFrom: Int
    @safe @exclusivity(unchecked) private var searchFrom = 0
    @safe @exclusivity(unchecked) private var freeCount: UInt64
    @safe @exclusivity(unchecked) private var version = StateVersion()

    /// Makes an allocator over whole chunks of DRAM.
    ///
    /// - Parameters:
    ///   - frames: multiples of 512 on both ends
    ///   - excluding: frames that are not for use, multiples of 512 on both ends
    public init(frames: Range<PFN>, excluding: Range<PFN> = PFN(0)..<PFN(0)) {
        precondition(
            frames.lowerBound.isAligned(to: .size2M) && frames.upperBound.isAligned(to: .size2M), "whole chunks")
        let first = Int(frames.lowerBound.rawValue >> 9)
        chunkCount = Int(frames.upperBound.rawValue >> 9)
        freeChunks = Array(repeating: 0, count: chunkCount / 64 + 1)
        let excluded = excluding.clamped(to: frames)
        for chunk in first..<chunkCount where !excluded.contains(PFN(UInt64(chunk) << 9)) {
            freeChunks[chunk >> 6] |= 1 << UInt64(chunk & 63)
        }
        freshFrom = first
        searchFrom = first >> 6
        freeCount = UInt64(frames.count - excluded.count)
    }

    /// Takes frames out for good, before anything is given out. Those that it does not have are nothing to do.
    func reserve(_ frames: Range<PFN>) {
        lock.withLock {
            version.change()
            let own = frames.clamped(to: PFN(0)..<PFN(UInt64(chunkCount) << 9))
            var pfn = own.lowerBound
            while pfn < own.upperBound {
                let chunk = Int(pfn.rawValue >> 9)
                let isWhole = freeChunks[chunk >> 6] >> UInt64(chunk & 63) & 1 == 1
                let takesAll = pfn.isAligned(to: .size2M) && pfn + 512 <= own.upperBound
                if isWhole {
                    freeChunks[chunk >> 6] &= ~(1 << UInt64(chunk & 63))
                    if takesAll { freeCount -= 512 } else { splitChunk(chunk, isFresh: chunk >= freshFrom) }
                }
                let end = min(own.upperBound, pfn.aligned(down: .size2M) + 512)
                for frame in pfn..<end where partial[chunk]?.contains(Int(frame.rawValue & 511)) == true {
                    partial[chunk]?.remove(Int(frame.rawValue & 511))
                    freeCount -= 1
                }
                pfn = end
            }
        }
    }

    private func splitChunk(_ chunk: Int, isFresh: Bool, for use: FrameUse = .ordinary) {
        var whole = FreeFrames(allFree: true)
        whole.isFresh = isFresh
        whole.use = use
        partial[chunk] = whole
        candidates[use.rawValue].append(chunk)
    }

    /// Memory holds what an earlier kernel left there: no frame is fresh.
    func forgetFreshness() { lock.withLock { freshFrom = chunkCount } }

    /// How many frames are free.
    public var freeFrameCount: UInt64 { lock.withLock { freeCount } }

    /// Takes a block of 2^order frames, or returns nil if there is none. Contents are what the last owner left.
    ///
    /// Where no whole chunk is left to begin with, a small block comes from chunks of another use.
    ///
    /// - Parameters:
    ///   - order: one of `orders`
    ///   - use: what a block of less than 2 MiB is for
    public func allocate(order: UInt8, for use: FrameUse = .ordinary) -> FrameBlock? {
        precondition(Self.orders.contains(order), "an order the allocator serves")
        return lock.withLock {
            version.change()
            let block: FrameBlock?
            switch order {
            case 18: block = takeGigabyte()
            case 9:
                block = takeChunk().map { FrameBlock(pfn: PFN(UInt64($0.chunk) << 9), order: 9, isFresh: $0.isFresh) }
            default: block = takeSmall(order: order, use)
            }
            if block != nil { freeCount -= 1 << UInt64(order) }
            return block
        }
    }

    /// Takes back a block, or part of one: `order` may be smaller than it was given out with.
    public func free(_ pfn: PFN, order: UInt8) {
        lock.withLock {
            version.change()
            freeCount += 1 << UInt64(order)
            let chunk = Int(pfn.rawValue >> 9)
            if order >= 9 {
                for c in chunk..<(chunk + 1 << Int(order - 9)) { giveBackChunk(c) }
                return
            }
            var frames = partial[chunk] ?? FreeFrames(allFree: false)
            if frames.isEmpty { candidates[frames.use.rawValue].append(chunk) }
            frames.insert(Int(pfn.rawValue & 511), count: 1 << Int(order))
            if frames.isFull {
                partial[chunk] = nil
                giveBackChunk(chunk)
            } else {
                partial[chunk] = frames
            }
        }
    }

    func checkpoint() -> Checkpoint {
        let saved = (freeChunks, partial, candidates, freshFrom, searchFrom, freeCount)
        let number = version.current
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            guard version.current != number else { return }
            (freeChunks, partial, candidates, freshFrom, searchFrom, freeCount) = saved
            version.goBack(to: number)
        }
        return checkpoint
    }

    /// Which frames are free, as a number.
    func combine(into hasher: inout StateHasher) { version.combine(into: &hasher, combineFrames) }

    private func combineFrames(into hasher: inout StateHasher) {
        hasher.combine(freeCount)
        for word in freeChunks { hasher.combine(word) }
        var sum: UInt64 = 0
        for (chunk, frames) in partial {
            var own = StateHasher(UInt64(chunk))
            frames.combine(into: &own)
            sum &+= own.value
        }
        hasher.combine(sum)
    }

    /// Whether the frame is free, for the invariants.
    public func isFree(_ pfn: PFN) -> Bool { lock.withLock { isFreeUnlocked(pfn) } }

    func isFreeUnlocked(_ pfn: PFN) -> Bool {
        let chunk = Int(pfn.rawValue >> 9)
        guard chunk < chunkCount else { return false }
        if freeChunks[chunk >> 6] >> UInt64(chunk & 63) & 1 == 1 { return true }
        return partial[chunk]?.contains(Int(pfn.rawValue & 511)) ?? false
    }

    /// Calls `body` with runs of free frames, each within a chunk, for the invariants. Takes no lock.
    func forEachFreeRunUnlocked(_ body: (Range<PFN>) -> Void) {
        let (bits, partial) = (freeChunks, self.partial)
        for (word, bits) in bits.enumerated() where bits != 0 {
            for bit in 0..<64 where bits >> UInt64(bit) & 1 == 1 {
                let pfn = PFN(UInt64(word * 64 + bit) << 9)
                body(pfn..<(pfn + 512))
            }
        }
        for (chunk, frames) in partial {
            for index in 0..<512 where frames.contains(index) {
                let pfn = PFN(UInt64(chunk) << 9 + UInt64(index))
                body(pfn..<(pfn + 1))
            }
        }
    }

    // MARK: Chunks

    private func giveBackChunk(_ chunk: Int) {
        precondition(freeChunks[chunk >> 6] >> UInt64(chunk & 63) & 1 == 0, "a chunk is freed twice")
        freeChunks[chunk >> 6] |= 1 << UInt64(chunk & 63)
        searchFrom = min(searchFrom, chunk >> 6)
    }

    private func takeChunk() -> (chunk: Int, isFresh: Bool)? {
        var word = searchFrom
        while word < freeChunks.count, freeChunks[word] == 0 { word += 1 }
        searchFrom = word
        guard word < freeChunks.count else { return nil }
        let chunk = word * 64 + freeChunks[word].trailingZeroBitCount
        freeChunks[word] &= freeChunks[word] &- 1
        let isFresh = chunk >= freshFrom
        if isFresh { freshFrom = chunk + 1 }
        return (chunk, isFresh)
    }

    private func takeGigabyte() -> FrameBlock? {
        var word = (searchFrom + 7) & ~7
        while word + 8 <= freeChunks.count {
            if (word..<word + 8).allSatisfy({ freeChunks[$0] == ~0 }) {
                for w in word..<word + 8 { freeChunks[w] = 0 }
                let isFresh = word * 64 >= freshFrom
                freshFrom = max(freshFrom, word * 64 + 512)
                return FrameBlock(pfn: PFN(UInt64(word) << 15), order: 18, isFresh: isFresh)
            }
            word += 8
        }
        return nil
    }

    private func takeSmall(order: UInt8, _ use: FrameUse) -> FrameBlock? {
        while let chunk = candidates[use.rawValue].last {
            if let frames = partial[chunk], frames.use == use, !frames.isEmpty {
                if let block = take(order, from: chunk) { return block }
                break
            }
            candidates[use.rawValue].removeLast()
        }
        guard let (chunk, isFresh) = takeChunk() else { return takeSmallAnywhere(order: order, use) }
        splitChunk(chunk, isFresh: isFresh, for: use)
        return take(order, from: chunk)
    }

    /// The last resort when no whole chunk is free: the lowest chunk with room, of this use if there is one.
    private func takeSmallAnywhere(order: UInt8, _ use: FrameUse) -> FrameBlock? {
        let chunks = partial.keys.sorted()
        for isOwn in [true, false] {
            for chunk in chunks where (partial[chunk]?.use == use) == isOwn {
                if let block = take(order, from: chunk) { return block }
            }
        }
        return nil
    }

    private func take(_ order: UInt8, from chunk: Int) -> FrameBlock? {
        guard let index = partial[chunk]?.take(count: 1 << Int(order)), let frames = partial[chunk] else { return nil }
        return FrameBlock(pfn: PFN(UInt64(chunk) << 9 + UInt64(index)), order: order, isFresh: frames.isFresh)
    }
}

/// The free frames of one chunk.
struct FreeFrames {
    private var words: InlineArray<8, UInt64>
    /// The chunk has had no frame given back yet, so its free frames were never used.
    var isFresh = false
    /// What blocks of the chunk are given out for while there are whole chunks for other uses.
    var use = FrameUse.ordinary
    private(set) var count: Int

    init(allFree: Bool) {
        words = InlineArray(repeating: allFree ? ~0 : 0)
        count = allFree ? 512 : 0
    }

    func combine(into hasher: inout StateHasher) {
        hasher.combine(UInt64(use.rawValue))
        for index in 0..<8 { hasher.combine(words[index]) }
    }

    var isEmpty: Bool { count == 0 }
    var isFull: Bool { count == 512 }

    func contains(_ index: Int) -> Bool { words[index >> 6] >> UInt64(index & 63) & 1 == 1 }

    /// Takes an aligned run of `count` frames, a power of two up to 256.
    mutating func take(count run: Int) -> Int? {
        if run < 64 {
            let mask = (1 as UInt64) << UInt64(run) &- 1
            for word in 0..<8 where words[word] != 0 {
                var bit = words[word].trailingZeroBitCount & ~(run - 1)
                while bit < 64 {
                    if words[word] >> UInt64(bit) & mask == mask {
                        words[word] &= ~(mask << UInt64(bit))
                        count -= run
                        return word * 64 + bit
                    }
                    bit += run
                }
            }
            return nil
        }
        for word in stride(from: 0, to: 8, by: run / 64) where (word..<word + run / 64).allSatisfy({ words[$0] == ~0 })
        {
            for w in word..<word + run / 64 { words[w] = 0 }
            count -= run
            return word * 64
        }
        return nil
    }

    /// Takes this frame, which is free.
    mutating func remove(_ index: Int) {
        precondition(contains(index), "a frame is taken twice")
        words[index >> 6] &= ~(1 << UInt64(index & 63))
        count -= 1
    }

    mutating func insert(_ index: Int, count run: Int) {
        isFresh = false
        for i in index..<index + run {
            precondition(!contains(i), "a frame is freed twice")
            words[i >> 6] |= 1 << UInt64(i & 63)
        }
        count += run
    }
}
