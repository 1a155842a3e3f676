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
            if comparesEvery > 1,
                let exact = try run(
                    seed: seed, policy, allowsFailures: allowsFailures, length: step, comparesEvery: 1)
            {
                return exact
            }
            return report(seed, program, problems)
        }
        let problems = machine.destroy()
        return problems.isEmpty ? nil : report(seed, program + ["destroy"], problems)
    }

    private func report(_ seed: UInt64, _ program: [String], _ problems: [String]) -> String {
        "seed \(seed):\n  " + program.joined(separator: "\n  ") + "\n"
            + problems.map { "  -> \($0)" }.joined(separator: "\n")
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

    @Test("A 1 GiB folio on a host of 3 GiB", arguments: ModelPolicy.allCases)
    func gigabyteFolio(policy: ModelPolicy) throws {
        let machine = try ModelledMachine(
            policy: policy,
            slots: [ModelSlot(frames: GFN(1 << 18)..<GFN(2 << 18), backing: BackingPage(file: 0, index: 0))],
            filePageCounts: [1 << 18], folioOrders: [18], dramByteCount: 3 << 30)
        let base = UInt64(1) << 18
        func gfns(_ pages: Range<UInt64>) -> Range<GFN> { GFN(base + pages.lowerBound)..<GFN(base + pages.upperBound) }
        let program: [ProgramOperation] = [
            .back(BackingPage(file: 0, index: 0), order: 18),
            .convert(gfns(0..<200_000), isPrivate: true, nil),
            .validate(GFN(base + 1024), .size2M, value: true),
            .validate(GFN(base + 2049), .size4K, value: true),
            .convert(gfns(1030..<1040), isPrivate: false, nil),
            .convert(
                gfns(199_000..<1 << 18), isPrivate: true, InjectedFailure(.rmpUpdate, call: 500, isLasting: false)),
            .punchHole(file: 0, 2000..<70_000, nil),
            .fault(GFN(base + 5), isPrivate: true, rmpBit: true, nil),
            .convert(gfns(0..<1 << 18), isPrivate: true, nil),
            .convert(
                gfns(100_000..<150_001), isPrivate: false, InjectedFailure(.rmpUpdate, call: 40, isLasting: false)),
        ]
        for (step, operation) in program.enumerated() {
            var problems = machine.run(operation)
            machine.settle()
            if step == 5 || step == program.count - 1 { problems += machine.disagreements() }
            #expect(problems == [], "after \(operation)")
        }
        #expect(machine.destroy() == [])
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
