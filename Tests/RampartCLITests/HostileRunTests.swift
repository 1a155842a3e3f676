// `rampart run --personality hostile`: how the bundled guests end under each attack, by Spec/hostile-attacks.tsv.

import Monitor
import Rampart
import Testing

@testable import RampartCLI

@Suite("rampart run with a hostile host")
struct HostileRunTests {
    static let rows: [[String]] = (try? specTable("hostile-attacks.tsv")) ?? []

    private func run(
        _ guest: BundledGuest, _ attacks: [String], _ seed: UInt64, _ policy: PolicyName = .eager,
        isTraced: Bool = false
    ) throws -> RunReport {
        try runGuest(
            RunRequest(
                program: .bundled(guest), memory: try ByteSize(parsing: "64M"), vcpuCount: 3, personality: .hostile,
                attacks: attacks, policy: policy, timeLimit: 120, isTraced: isTraced, seed: seed))
    }

    @Test("the table has a row for each attack")
    func complete() {
        #expect(Self.rows.map { $0[0] } == PersonalityName.attacks.map(\.name))
        #expect(Self.rows.allSatisfy { $0.count == 6 })
    }

    /// Guest code runs slowly without optimisation: one guest stands for all there.
    #if DEBUG
        private static let guests: [BundledGuest] = [.hello]
        private static let seeds: [UInt64] = [1]
    #else
        private static let guests: [BundledGuest] = [.hello, .convert, .smp, .misbehave]
        private static let seeds: [UInt64] = [1, 2]
    #endif

    @Test("each guest ends as the table allows, and no private page reads otherwise than written", arguments: rows)
    func endings(_ row: [String]) throws {
        for (column, guest) in Self.guests.enumerated() {
            for seed in Self.seeds {
                let attacks = row[0] == "swap-back" ? ["remap", "swap-back"] : [row[0]]
                let report = try run(guest, attacks, seed, seed == 1 ? .eager : .lazy)
                let label: Comment = "\(row[0]), \(guest), seed \(seed): \(report.ending)"
                #expect(report.ending.isAllowed(by: row[2 + column]), label)
                #expect(report.violations == [], label)
                #expect(report.attestationRefusal == nil, label)
                // A guest that has noticed something says so: it does not end with 0.
                let console = String(decoding: report.console, as: UTF8.self)
                #expect(!console.contains("WRONG") || report.ending != .exited(0), label)
            }
        }
    }

    @Test("two runs under all attacks are the same, byte for byte; another seed is another run")
    func determinism() throws {
        let runs = try [(3, "a"), (3, "b"), (4, "c")].map { seed, _ in
            try run(.convert, [], UInt64(seed), isTraced: true)
        }
        #expect(runs[0].trace == runs[1].trace && runs[0].attacks == runs[1].attacks)
        #expect(runs[0].trace != runs[2].trace)
        #expect(runs[0].attacks?.corruptions == [])
    }

    @Test("the summary names the attacks and what the comparison of private pages has found")
    func summary() {
        let text = RampartCommand.execute(["run", "--personality", "hostile:alias", "--seed", "1"])
        #expect(text.status == .good, "\(text.output)")
        #expect(text.output.contains("attacks        ") && text.output.contains(" alias\n"))
        #expect(text.output.contains("private pages compared, 0 read otherwise than written"))
        let json = RampartCommand.execute(["run", "--personality", "hostile:alias", "--seed", "1", "--json"])
        #expect(json.output.contains("\"alias\": ") && json.output.contains("\"personality\": \"hostile\""))
        let honest = RampartCommand.execute(["run", "--json"])
        #expect(honest.output.contains("\"attacks\": null"))
    }

    @Test(
        "attacks that there are not are refused",
        arguments: ["hostile:", "hostile:remap,", "hostile:kindness", "kvm:remap", ":remap"])
    func refusals(_ personality: String) {
        let outcome = RampartCommand.execute(["run", "--personality", personality])
        #expect(outcome.status == .usage, "\(outcome.diagnostics)")
    }
}
