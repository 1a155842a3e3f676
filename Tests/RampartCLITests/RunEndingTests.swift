// Every bundled guest under every personality and policy, twice: how it ends, by Spec/run-endings.tsv, and that the traces agree.

import Foundation
import Monitor
import Rampart
import Testing

@Suite("Endings of the bundled guests")
struct RunEndingTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var guest: BundledGuest
        var personality: PersonalityName
        var policy: PolicyName
        var endings: [String]
        var testDescription: String { "\(guest) \(personality) \(policy)" }
    }

    static let rows: [Row] = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appendingPathComponent("Spec/run-endings.tsv")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            let words = line.split(separator: "\t").map(String.init)
            guard words.count == 4, let guest = BundledGuest(rawValue: words[0]),
                let personality = PersonalityName(rawValue: words[1]), let policy = PolicyName(rawValue: words[2])
            else { return nil }
            return Row(
                guest: guest, personality: personality, policy: policy,
                endings: words[3].split(separator: " ").map(String.init))
        }
    }()

    /// Guest code runs slowly without optimisation: one guest stands for all there. Runs that never end are not made.
    static let runRows = rows.filter { row in
        #if DEBUG
            guard row.guest == .smp else { return false }
        #endif
        return row.endings != ["endless"]
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
        #expect(row.endings.contains(report.ending.word), "\(report.ending)")
        #expect(report.violations == [] && report.attestationRefusal == nil)
        #expect((report.attacks?.corruptions ?? []) == [])
        if row.endings == ["0"] { #expect(!String(decoding: report.console, as: UTF8.self).contains("WRONG")) }
        #expect(report.trace.utf8.count > 1000)
        #expect(report.trace == reports[1].trace && report.ending == reports[1].ending)
        #expect(report.console == reports[1].console)
    }
}

extension GuestEnding {
    /// As the tables of Spec have it.
    var word: String {
        switch self {
        case .exited(let status): "\(status)"
        case .terminated: "terminated"
        case .shutdown: "shutdown"
        case .halted: "halted"
        case .refused: "refused"
        case .timeLimit: "time limit"
        case .quit: "quit"
        }
    }
}
