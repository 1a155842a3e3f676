// Every schedule of a program in turn, up to a number of preemptions: the tree of picks, walked depth first.
//
// The program runs from its start each time; the search only remembers the picks. Where a state comes back that was
// explored with as many preemptions left, its subtree is not walked again.

/// Enumerates the schedules of a program.
///
/// Use one search as the strategy of one run after the other, calling `advance()` between them until it returns false.
public final class DepthFirstSearch: ScheduleStrategy {
    private struct Branch {
        var code: UInt8
        var count: UInt8
        /// Preemptions before this branch.
        var spent: UInt8
        var isPreemption: Bool
    }

    /// How many preemptions a schedule may have; nil for any number.
    public let preemptionBound: Int?
    /// The state that the run is in, asked at each new branch; nil to walk the whole tree.
    public var stateKey: (() -> UInt64)?
    /// How many subtrees were left out because their state had been explored.
    public private(set) var prunedCount = 0
    private var branches: [Branch] = []
    private var depth = 0
    private var spent = 0
    /// The rest of this run is not branched: its state has been explored, or belongs to another shard.
    private var isClosed = false
    private var isForeign = false
    private let shard: (index: Int, count: Int)?
    /// The most preemptions that were left when a state was explored.
    private var explored: [UInt64: Int] = [:]

    /// The depth at which the tree is dealt out to shards.
    private static let shardDepth = 8

    /// Makes a search that begins with the usual schedule.
    ///
    /// - Parameter shard: walk only this part of so many; the parts together are the whole tree
    public init(preemptionBound: Int?, shard: (index: Int, count: Int)? = nil) {
        precondition(preemptionBound.map { $0 >= 0 && $0 < 200 } ?? true, "a bound of 0 to 199")
        self.preemptionBound = preemptionBound
        self.shard = shard
    }

    /// Picks as this run's place in the tree says, and grows the tree at its end.
    public func choose(_ choice: ScheduleChoice) -> Int {
        if depth == branches.count, !isClosed { grow(choice) }
        guard depth < branches.count else { return choice.thread(code: 0) }
        let branch = branches[depth]
        depth += 1
        if branch.code > 0, branch.isPreemption { spent = Int(branch.spent) + 1 }
        return choice.thread(code: branch.code)
    }

    private func grow(_ choice: ScheduleChoice) {
        if depth == Self.shardDepth, let shard {
            // By its place in the tree and not by its number: a search that went on after a stop has forgotten which states
            // it explored, leaves out less of the tree's top, and would number the rest in another way than its fellows do.
            if Int(placeHash % UInt64(shard.count)) != shard.index {
                isClosed = true
                isForeign = true
                return
            }
        }
        let left = (preemptionBound ?? 255) - spent
        if let stateKey, choice.point != nil {
            let key = stateKey()
            if let before = explored[key], before >= left {
                isClosed = true
                prunedCount += 1
                return
            }
            explored[key] = left
        }
        // A thread that only tries again goes on when another has.
        let isAnyAllowed = !choice.isPreemption || left > 0
        let count = isAnyAllowed ? choice.count - (choice.point == .yield ? 1 : 0) : 1
        branches.append(
            Branch(
                code: 0, count: UInt8(clamping: count), spent: UInt8(clamping: spent),
                isPreemption: choice.isPreemption))
    }

    /// The picks down to here as a number.
    private var placeHash: UInt64 { branches.reduce(into: StateHasher()) { $0.combine(UInt64($1.code)) }.value >> 16 }

    /// Ends a run and moves on to the next schedule; false when there is none.
    public func advance() -> Bool {
        depth = 0
        spent = 0
        isClosed = false
        isForeign = false
        while let last = branches.last {
            if last.code + 1 < last.count {
                branches[branches.count - 1].code += 1
                return true
            }
            branches.removeLast()
        }
        return false
    }

    /// Whether this run counts: false for one that another shard makes, too. Runs too short to be dealt out are the first's.
    public var isOwnRun: Bool {
        guard let shard else { return true }
        return !isForeign && (depth > Self.shardDepth || shard.index == 0)
    }

    /// The place in the tree, for stopping between two runs and going on later: four numbers for each branch.
    public var position: String {
        branches.map { "\($0.code),\($0.count),\($0.spent),\($0.isPreemption ? 1 : 0)" }.joined(separator: ";")
    }

    /// Goes on at the place in the tree where another search stopped. False, and nothing is changed, if the text is none.
    @discardableResult
    public func restore(_ position: String) -> Bool {
        var found: [Branch] = []
        for part in position.split(separator: ";") {
            let numbers = part.split(separator: ",").compactMap { UInt8($0) }
            guard numbers.count == 4, numbers[0] < max(numbers[1], 1), numbers[3] < 2 else { return false }
            found.append(
                Branch(code: numbers[0], count: numbers[1], spent: numbers[2], isPreemption: numbers[3] == 1))
        }
        branches = found
        return true
    }
}
