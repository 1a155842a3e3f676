// Random programs, judged after every operation by the reference model and by the invariants.

import Machine
import Rampart
import ReferenceModel
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Random programs against the reference model")
struct RandomProgramTests {
    /// Runs a program; returns it with the disagreements, if any. States are compared after every fourth operation; a program
    /// that fails is run again with a comparison after each.
    private func run(
        seed: UInt64, _ policy: ModelPolicy, allowsFailures: Bool, length: Int, comparesEvery: Int = 4
    ) throws -> String? {
        let machine = try ModelledMachine(policy: policy)
        var generator = ProgramGenerator(seed: seed, allowsFailures: allowsFailures)
        var program: [String] = []
        for step in 1...length {
            let operation = generator.next()
            program.append(operation.description)
            var problems = machine.run(operation)
            if step % comparesEvery == 0 || step == length { problems += machine.disagreements() }
            machine.settle()
            guard !problems.isEmpty else { continue }
            if comparesEvery > 1, let exact = try run(
                seed: seed, policy, allowsFailures: allowsFailures, length: step, comparesEvery: 1) { return exact }
            return report(seed, program, problems)
        }
        let problems = machine.destroy()
        return problems.isEmpty ? nil : report(seed, program + ["destroy"], problems)
    }

    private func report(_ seed: UInt64, _ program: [String], _ problems: [String]) -> String {
        "seed \(seed):\n  " + program.joined(separator: "\n  ") + "\n" + problems.map { "  -> \($0)" }.joined(separator: "\n")
    }

    @Test("Without failures", arguments: ModelPolicy.allCases)
    func withoutFailures(policy: ModelPolicy) throws {
        for seed in TestScale.seeds(12) {
            if let failure = try run(seed: seed, policy, allowsFailures: false, length: 40) {
                Issue.record(Comment(rawValue: failure))
                return
            }
        }
    }

    @Test("With RMPUPDATE and PSMASH refused for good", arguments: ModelPolicy.allCases)
    func withFailures(policy: ModelPolicy) throws {
        for seed in TestScale.seeds(12, from: 100_001) {
            if let failure = try run(seed: seed, policy, allowsFailures: true, length: 40) {
                Issue.record(Comment(rawValue: failure))
                return
            }
        }
    }
}
