// When a server misbehaves. The plan is a function of the seed and of the request's number, so that runs repeat.

/// Which requests a fault hits.
public enum FaultTrigger: Hashable, Sendable {
    /// Every one.
    case always
    /// Each n-th.
    case every(Int)
    /// The first n.
    case first(Int)
    /// Each with this probability.
    case probability(Double)
}

/// A fault and the requests that it hits.
public struct FaultRule: Hashable, Sendable {
    /// What happens.
    public var fault: Fault
    /// To which requests.
    public var trigger: FaultTrigger

    /// Makes a rule.
    public init(_ fault: Fault, _ trigger: FaultTrigger = .always) {
        self.fault = fault
        self.trigger = trigger
    }

    /// Reads `FAULT`, `FAULT:every-N`, `FAULT:first-N` or `FAULT:PROBABILITY`.
    ///
    /// - Throws: in check order: what `Fault` throws, a trigger that is none
    public init(parsing text: String) throws(FaultSyntaxError) {
        let pieces = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        fault = try Fault(parsing: String(pieces[0]))
        guard pieces.count == 2 else {
            trigger = .always
            return
        }
        let word = pieces[1]
        if word.hasPrefix("every-"), let count = Int(word.dropFirst(6)), count > 0 {
            trigger = .every(count)
        } else if word.hasPrefix("first-"), let count = Int(word.dropFirst(6)), count > 0 {
            trigger = .first(count)
        } else if let probability = Double(word), (0...1).contains(probability) {
            trigger = .probability(probability)
        } else {
            throw FaultSyntaxError("\"\(word)\" does not say when. Use every-N, first-N or a probability from 0 to 1.")
        }
    }
}

/// The faults of a server.
public struct FaultPlan: Hashable, Sendable {
    /// The first that hits a request counts.
    public var rules: [FaultRule]
    /// Decides where a rule has a probability.
    public var seed: UInt64

    /// Makes a plan.
    public init(_ rules: [FaultRule] = [], seed: UInt64 = 0) {
        self.rules = rules
        self.seed = seed
    }

    /// The fault that hits the request with this number; the first is 1.
    public func fault(forRequest number: Int) -> Fault? {
        rules.indices.first { hits(rules[$0].trigger, number, rule: $0) }.map { rules[$0].fault }
    }

    private func hits(_ trigger: FaultTrigger, _ number: Int, rule: Int) -> Bool {
        switch trigger {
        case .always: return true
        case .every(let count): return number.isMultiple(of: count)
        case .first(let count): return number <= count
        case .probability(let probability):
            let bits = Self.mixed(seed ^ Self.mixed(UInt64(number) << 8 | UInt64(rule & 0xff)))
            return Double(bits >> 11) * 0x1p-53 < probability
        }
    }

    /// The output function of SplitMix64.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var bits = value &+ 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 31
    }
}
