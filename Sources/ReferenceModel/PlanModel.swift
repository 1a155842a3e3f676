// Where a plan of conversions must lead, for a guest whose memory is backed throughout by folios of one order and starts at
// a 2 MiB boundary on both sides. Used to judge `rampart convert --plan`.
//
// One state for each run of 2 MiB blocks that fared alike, so that plans over TiB can be judged; the rules are applied block
// by block all the same.

public import SNPArchitecture

/// The state that conversions, applied in order by the eager policy, must leave behind.
public struct PlanModel: Sendable {
    /// What has become of one 2 MiB block of guest memory.
    enum Block: Hashable, Sendable {
        /// Every page is the host's.
        case shared
        /// One RMP entry of 2 MiB.
        case large
        /// RMP entries of 4 KiB: these of the 512 pages.
        case small(Set<Int>)
    }

    /// Blocks that fared alike, in order and without gaps.
    private var runs: [(blocks: Range<UInt64>, state: Block)]
    /// The guest frames outside the backed memory with the private attribute are not kept: only these.
    private let memory: Range<GFN>
    private let allows2M: Bool

    /// Makes the state before the first conversion: all shared.
    ///
    /// - Parameters:
    ///   - memory: the guest frames of the backed memory, starting at a multiple of 512
    ///   - folioOrder: the order of the folios behind it
    public init(memory: Range<GFN>, folioOrder: UInt8 = 9) {
        precondition(memory.lowerBound.rawValue % 512 == 0, "memory starts at a 2 MiB boundary")
        self.memory = memory
        allows2M = folioOrder >= 9
        let end = (memory.upperBound.rawValue + 511) / 512
        runs = memory.isEmpty ? [] : [(memory.lowerBound.rawValue / 512..<end, .shared)]
    }

    /// Applies one line of the plan. Frames outside the memory do not matter.
    public mutating func convert(_ frames: Range<GFN>, isPrivate: Bool) {
        let frames = frames.clamped(to: memory)
        guard !frames.isEmpty else { return }
        let (low, high) = (frames.lowerBound.rawValue, frames.upperBound.rawValue)
        let (first, last) = (low / 512, (high - 1) / 512)
        if first == last {
            change(first..<first + 1, Int(low % 512)..<Int((high - 1) % 512) + 1, isPrivate)
        } else {
            change(first..<first + 1, Int(low % 512)..<512, isPrivate)
            change(first + 1..<last, 0..<512, isPrivate)
            change(last..<last + 1, 0..<Int((high - 1) % 512) + 1, isPrivate)
        }
    }

    /// What a conversion of some of its pages makes of a block.
    private static func convert(_ block: Block, _ pages: Range<Int>, _ isPrivate: Bool, _ allows2M: Bool) -> Block {
        switch (block, isPrivate) {
        case (.shared, false): return .shared
        case (.shared, true): return pages.count == 512 && allows2M ? .large : .small(Set(pages))
        case (.large, true): return .large
        case (.large, false): return pages.count == 512 ? .shared : .small(Set(0..<512).subtracting(pages))
        case (.small(let owned), true): return .small(owned.union(pages))
        case (.small(let owned), false):
            let left = owned.subtracting(pages)
            return left.isEmpty ? .shared : .small(left)
        }
    }

    /// Converts the same pages of each block of a range, cutting runs at its ends.
    private mutating func change(_ blocks: Range<UInt64>, _ pages: Range<Int>, _ isPrivate: Bool) {
        guard !blocks.isEmpty else { return }
        var changed: [(blocks: Range<UInt64>, state: Block)] = []
        for run in runs {
            let inside = run.blocks.clamped(to: blocks)
            guard !inside.isEmpty else {
                changed.append(run)
                continue
            }
            let before = run.blocks.lowerBound..<inside.lowerBound
            let after = inside.upperBound..<run.blocks.upperBound
            if !before.isEmpty { changed.append((before, run.state)) }
            changed.append((inside, Self.convert(run.state, pages, isPrivate, allows2M)))
            if !after.isEmpty { changed.append((after, run.state)) }
        }
        runs = changed
    }

    // MARK: What must be true

    /// The size of the RMP entry that must cover a guest frame's page, or nil if the page must be the host's.
    public func entrySize(of gfn: GFN) -> PageSize? {
        guard memory.contains(gfn), let run = runs.first(where: { $0.blocks.contains(gfn.rawValue / 512) }) else {
            return nil
        }
        switch run.state {
        case .shared: return nil
        case .large: return .size2M
        case .small(let owned): return owned.contains(Int(gfn.rawValue % 512)) ? .size4K : nil
        }
    }

    /// How many RMP entries of 2 MiB there must be.
    public var largeEntryCount: UInt64 {
        runs.reduce(0) { $1.state == .large ? $0 + UInt64($1.blocks.count) : $0 }
    }

    /// How many RMP entries of 4 KiB there must be.
    public var smallEntryCount: UInt64 {
        runs.reduce(0) { count, run in
            guard case .small(let owned) = run.state else { return count }
            return count + UInt64(owned.count) * UInt64(run.blocks.count)
        }
    }

    /// How many 4 KiB pages must be private.
    public var privatePageCount: UInt64 { largeEntryCount * 512 + smallEntryCount }

    /// The guest frames that must be private, in maximal runs.
    public var privateRuns: [Range<GFN>] {
        var result: [Range<GFN>] = []
        func add(_ low: UInt64, _ high: UInt64) {
            if let last = result.last, last.upperBound.rawValue == low {
                result[result.count - 1] = last.lowerBound..<GFN(high)
            } else {
                result.append(GFN(low)..<GFN(high))
            }
        }
        for run in runs {
            switch run.state {
            case .shared: continue
            case .large: add(run.blocks.lowerBound * 512, run.blocks.upperBound * 512)
            case .small(let owned):
                for block in run.blocks {
                    for page in owned.sorted() { add(block * 512 + UInt64(page), block * 512 + UInt64(page) + 1) }
                }
            }
        }
        return result
    }
}
