// Every bundled guest under every personality and policy, twice: how it ends, by Spec/run-endings.tsv, and that the traces agree.

import Monitor
import Rampart
import Testing

@Suite("Endings of the bundled guests")
struct RunEndingTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var guest: BundledGuest
        var personality: PersonalityName
        var policy: PolicyName
        var endings: String
        var testDescription: String { "\(guest) \(personality) \(policy)" }
    }

    static let rows: [Row] = ((try? specTable("run-endings.tsv")) ?? []).compactMap { cells in
        guard cells.count == 4, let guest = BundledGuest(rawValue: cells[0]),
            let personality = PersonalityName(rawValue: cells[1]), let policy = PolicyName(rawValue: cells[2])
        else { return nil }
        return Row(guest: guest, personality: personality, policy: policy, endings: cells[3])
    }

    /// Guest code runs slowly without optimisation: one guest stands for all there, and one run for those that get stuck.
    static let runRows = rows.filter { row in
        #if DEBUG
            row.guest == .smp || row.guest == .convert && row.endings == "stuck"
        #else
            true
        #endif
    }

    @Test("the table has every guest under every personality and policy")
    func complete() {
        let all = BundledGuest.allCases.flatMap { guest in
            PersonalityName.allCases.flatMap { personality in
                PolicyName.allCases.map { "\(guest) \(personality) \($0)" }
            }
        }
        #expect(Self.rows.map(\.testDescription) == all)
    }

    @Test("a guest ends as the table says, and a second run leaves the same trace, byte for byte", arguments: runRows)
    func endings(_ row: Row) throws {
        let reports = try (0..<2).map { _ in
            try runGuest(
                RunRequest(
                    program: .bundled(row.guest), memory: try ByteSize(parsing: "64M"), vcpuCount: 3,
                    personality: row.personality, policy: row.policy, timeLimit: 120, isTraced: true, seed: 1))
        }
        let report = reports[0]
        #expect(report.ending.isAllowed(by: row.endings), "\(report.ending)")
        #expect(report.violations == [] && report.attestationRefusal == nil)
        #expect((report.attacks?.corruptions ?? []) == [])
        if row.endings == "0" { #expect(!String(decoding: report.console, as: UTF8.self).contains("WRONG")) }
        #expect(report.trace.utf8.count > 1000)
        #expect(report.trace == reports[1].trace && report.ending == reports[1].ending)
        #expect(report.console == reports[1].console && report.autopsy == reports[1].autopsy)
    }
}
