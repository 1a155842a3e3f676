// Makes a failing schedule simple: fewer picks that are not the usual ones, and none after the failure.

/// Looks for a simpler schedule that still fails.
public struct ScheduleMinimizer {
    /// How many runs it may take.
    public var runLimit: Int
    /// How many runs it has taken.
    public private(set) var runCount = 0

    /// Makes a minimiser.
    public init(runLimit: Int = 2000) { self.runLimit = runLimit }

    /// Simplifies a schedule by cutting its end off and by replacing picks with the usual one, as long as it still fails.
    ///
    /// - Parameter fails: runs a schedule; whether it fails in the way that is looked for
    public mutating func minimize(_ codes: [UInt8], _ fails: ([UInt8]) -> Bool) -> [UInt8] {
        if let single = singlePick(codes, fails) { return single }
        var best = withoutTail(codes)
        var previous: [UInt8]?
        while previous != best, runCount < runLimit {
            previous = best
            best = shortened(best, fails)
            best = quieter(best, fails)
        }
        return best
    }

    /// A schedule with no pick that is not usual, or only one, that fails.
    private mutating func singlePick(_ codes: [UInt8], _ fails: ([UInt8]) -> Bool) -> [UInt8]? {
        if runs([], fails) { return [] }
        for place in codes.indices.prefix(runLimit / 2) {
            let trial = Array(repeating: 0, count: place) + [max(codes[place], 1)]
            if runs(trial, fails) { return trial }
        }
        return nil
    }

    /// Cuts the end off at the picks that are not zero, in halves.
    private mutating func shortened(_ codes: [UInt8], _ fails: ([UInt8]) -> Bool) -> [UInt8] {
        var best = codes
        var picks = best.indices.filter { best[$0] != 0 }
        var cut = (picks.count + 1) / 2
        while cut > 0, !picks.isEmpty {
            let kept = picks.count - min(cut, picks.count)
            let trial = kept == 0 ? [] : Array(best[...picks[kept - 1]])
            if runs(trial, fails) {
                best = trial
                picks.removeLast(picks.count - kept)
            } else {
                cut /= 2
            }
        }
        return best
    }

    /// Replaces picks with zeros: many in a row, then every three, two and one that follow each other. Two at a time matter:
    /// a switch and the switch back.
    private mutating func quieter(_ codes: [UInt8], _ fails: ([UInt8]) -> Bool) -> [UInt8] {
        var best = codes
        var size = best.count { $0 != 0 } / 2
        while size > 0 {
            var start = 0
            while true {
                let picks = best.indices.filter { best[$0] != 0 }
                guard start + size <= picks.count else { break }
                var trial = best
                for place in picks[start..<start + size] { trial[place] = 0 }
                if runs(trial, fails) { best = trial } else { start += size > 3 ? size : 1 }
            }
            size = size > 6 ? size / 2 : size - 1
        }
        return withoutTail(best)
    }

    private mutating func runs(_ codes: [UInt8], _ fails: ([UInt8]) -> Bool) -> Bool {
        guard runCount < runLimit else { return false }
        runCount += 1
        return fails(codes)
    }

    private func withoutTail(_ codes: [UInt8]) -> [UInt8] {
        guard let last = codes.lastIndex(where: { $0 != 0 }) else { return [] }
        return Array(codes[...last])
    }
}
