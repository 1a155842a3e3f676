// The words that `rampart explore` and its kin accept as values.

import ArgumentParser
import Exploration
import Rampart

/// A budget on the command line: a number of schedules, or a time as 500ms, 60s, 10m or 2h.
struct BudgetArgument: ExpressibleByArgument, Equatable {
    var budget: ExplorationBudget

    init(_ budget: ExplorationBudget) { self.budget = budget }

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits), number > 0 else { return nil }
        let units: [String: UInt64] = [
            "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
        ]
        let unit = String(argument.dropFirst(digits.count))
        if unit.isEmpty {
            budget = .schedules(number)
        } else if let size = units[unit], number <= UInt64.max / size {
            budget = .time(number * size)
        } else {
            return nil
        }
    }
}

/// A shard on the command line: 0/4 to 3/4.
struct ShardArgument: ExpressibleByArgument, Equatable {
    var index: Int
    var count: Int

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let index = parts[0], let count = parts[1], count > 0, count <= 1024, index >= 0,
            index < count
        else { return nil }
        self.index = index
        self.count = count
    }
}

extension ExplorationStrategy {
    init(argument: String) throws {
        guard let strategy = ExplorationStrategy(rawValue: argument) else {
            throw CommandFailure.usage("the strategy \(argument) is unknown. Use random, pct, dfs or mixed.")
        }
        self = strategy
    }
}

/// Finds a scenario by its name.
///
/// - Throws: `CommandFailure` with the names that are near
func scenario(named name: String) throws -> Scenario {
    if let scenario = Scenario.named(name) { return scenario }
    let near = Scenario.all.map(\.name).filter { $0.hasPrefix(name) || $0.contains(name) }.prefix(5)
    let hint = near.isEmpty ? "See `rampart scenarios`." : "Did you mean \(near.joined(separator: ", "))?"
    throw CommandFailure.usage("there is no scenario \(name). \(hint)")
}

/// Finds a known bug by its name or number.
///
/// - Throws: `CommandFailure`
func knownBug(_ text: String) throws -> KnownBug {
    guard let bug = KnownBug(text) else {
        throw CommandFailure.usage("there is no known bug \(text). See `rampart known-bugs --list`.")
    }
    return bug
}
