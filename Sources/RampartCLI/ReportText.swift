// How counts, times and tallies look in the reports of several commands.

import Rampart

func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}
func padded(left text: String, to width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

func violationLines(_ violations: [String]) -> [String] {
    violations.isEmpty ? ["invariants hold"] : violations.map { "VIOLATION: \($0)" }
}

func tallyJSON(_ tallies: [PageTally]) -> JSON { .object(tallies.map { ($0.state, .unsigned($0.pageCount)) }) }

extension OperationCounts {
    var text: String {
        "\(rmpUpdates) RMPUPDATE, \(psmashes) PSMASH, \(splits) direct-map splits, \(zaps) zaps, \(tlbFlushes) TLB flushes"
    }
    var json: JSON {
        .object([
            ("rmpUpdates", .unsigned(rmpUpdates)), ("psmashes", .unsigned(psmashes)), ("splits", .unsigned(splits)),
            ("zaps", .unsigned(zaps)), ("tlbFlushes", .unsigned(tlbFlushes)),
        ])
    }
}

extension Duration {
    /// Whole nanoseconds, at most 2^63 - 1.
    var nanoseconds: Int {
        let (seconds, overflow) = Int(clamping: components.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflow) = seconds.addingReportingOverflow(Int(components.attoseconds / 1_000_000_000))
        return overflow || sumOverflow ? .max : sum
    }
    /// The time with three or more digits and a unit.
    var text: String {
        switch nanoseconds {
        case ..<10_000: "\(nanoseconds) ns"
        case ..<10_000_000: "\(nanoseconds / 1000) us"
        case ..<10_000_000_000: "\(nanoseconds / 1_000_000) ms"
        default: "\(nanoseconds / 1_000_000_000) s"
        }
    }
    var json: JSON { .integer(nanoseconds) }
}
