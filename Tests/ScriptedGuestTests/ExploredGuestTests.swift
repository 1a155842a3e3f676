// Scripts on several virtual CPUs under explored schedules: what the guest may rely on, whatever the others do.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import ScriptedGuest
import Testing

@testable import Hypervisor

@Suite("Scripted guests, explored")
struct ExploredGuestTests {
    /// Explores seeds; each makes a machine and the threads on it.
    private func explore(
        _ seeds: Range<UInt64>, _ make: (Explorer) throws -> ScriptedMachine, check: (ScriptedMachine) -> [String]
    ) throws {
        for seed in seeds {
            let explorer = Explorer(seed: seed, maximumSteps: 200_000)
            let machine = try make(explorer)
            let outcome = explorer.run()
            var problems = outcome == .completed ? check(machine) : [outcome.description]
            if outcome == .completed { problems += machine.violations.map(\.description) }
            guard problems.isEmpty else {
                Issue.record("seed \(seed): \(problems.prefix(4).joined(separator: "\n"))")
                return
            }
        }
    }

    private func spawn(_ explorer: Explorer, _ machine: ScriptedMachine, _ index: Int) {
        explorer.spawn("vcpu \(index)") { machine.drive(index) }
    }

    /// Runs the guest's virtual CPU and does not convert what it asks for.
    private func spawnPlain(_ explorer: Explorer, _ machine: ScriptedMachine, _ index: Int) {
        explorer.spawn("vcpu \(index)") {
            for _ in 0..<1000 {
                switch machine.cpus[index].run() {
                case .memoryFault: continue
                case .halted, .failed(.invalidArgument): return
                case let exit: return explorer.fail("a run ends in \(exit)")
                }
            }
        }
    }

    @Test("Two virtual CPUs accept halves of one 2M page: one splits it under the other, and neither loses a page")
    func halves() throws {
        try explore(0..<40) { explorer in
            let machine = try ScriptedMachine(
                try GuestScript(
                    "pvalidate 0x1000000 x4 4K validate", "write 0x1000000 private 0102", "read 0x1000000 private 0102"),
                try GuestScript(
                    "pvalidate 0x1100000 x4 4K validate", "write 0x1103000 private 03", "read 0x1103000 private 03"))
            machine.cpus[1].setState(.runnable)
            spawn(explorer, machine, 0)
            spawn(explorer, machine, 1)
            return machine
        } check: { machine in
            machine.failures + (machine.processors.allSatisfy(\.isFinished) ? [] : ["a script has not ended"])
        }
    }

    @Test("A page race: of two virtual CPUs that accept a page exactly one finds it not accepted")
    func doubleAccept() throws {
        var orders: Set<Bool> = []
        try explore(0..<40) { explorer in
            let text = "pvalidate 0x1000000 4K validate -> any"
            let machine = try ScriptedMachine(try GuestScript(text), try GuestScript(text))
            machine.cpus[1].setState(.runnable)
            spawn(explorer, machine, 0)
            spawn(explorer, machine, 1)
            return machine
        } check: { machine in
            // FAIL_INUSE is the other's instruction half done, which a guest would repeat: there is no point inside one.
            let outcomes = [machine.outcomes(0), machine.outcomes(1)]
            orders.insert(outcomes[0] == [.done])
            return Set(outcomes) == [[.done], [.unchanged]] ? [] : ["\(outcomes)"]
        }
        #expect(orders.count == 2, "both won")
    }

    @Test("The host converts while the guest works: a step goes on or raises #VC, and no write is lost before that")
    func conversion() throws {
        var exceptions = 0
        try explore(0..<50) { explorer in
            let machine = try ScriptedMachine(
                try GuestScript(
                    "pvalidate 0x1000000 2M validate -> any", "write 0x1000000 private 2a -> any",
                    "read 0x1000000 private 2a -> any", "touch 0x1001000 x8 private read -> any"),
                continuesAfterFailure: true)
            explorer.spawn("host") {
                _ = try? machine.vm.setMemoryAttributes(ScriptedMachine.gpa(0), byteCount: 8192, to: .shared)
                _ = try? machine.vm.setMemoryAttributes(ScriptedMachine.gpa(0), byteCount: 8192, to: .private)
            }
            spawnPlain(explorer, machine, 0)
            return machine
        } check: { machine in
            guard machine.processors[0].isFinished else { return ["the script has not ended"] }
            let outcomes = machine.outcomes()
            if outcomes.contains(.exception(.pageNotValidated)) { exceptions += 1 }
            // What was written is there, or #VC said that the page is another one.
            return outcomes.contains(.mismatch) ? ["\(outcomes)"] : []
        }
        #expect(exceptions > 0, "the race was met")
    }

    /// A machine whose second virtual CPU has a VMSA of the guest's own, at page 5.
    private func machineWithGuestVMSA(_ second: GuestScript, copies: Int = 1) throws -> ScriptedMachine {
        var first = GuestScript()
        let gpa = ScriptedMachine.gpa(5)
        try first.pvalidate(gpa)
        try first.write(gpa, .private, VMSA.scripted().bytes)
        try first.rmpAdjust(gpa, target: .vmpl1, [], vmsa: true)
        let machine =
            copies == 1 ? try ScriptedMachine(first, second) : try ScriptedMachine(first, second, second)
        machine.drive()
        #expect(machine.failures == [])
        for copy in 1...copies {
            #expect(machine.vm.createAP(1, apicID: UInt32(copy), vmsa: gpa, features: 1))
        }
        return machine
    }

    @Test("The host converts the page of a VMSA that runs: it gets the virtual CPU out first, and nothing is lost")
    func expelled() throws {
        var withVMSA = 0
        try explore(0..<80) { explorer in
            let machine = try machineWithGuestVMSA(
                try GuestScript("ghcb 0x1400000", "pvalidate 0x1200000 2M validate", "touch 0x1200000 x40 private read")
            )
            explorer.spawn("host") {
                for _ in 0..<10 { schedulePoint(.yield) }
                do throws(ConversionFailure) {
                    try machine.vm.setMemoryAttributes(ScriptedMachine.gpa(5), byteCount: 4096, to: .shared)
                } catch { explorer.fail("the conversion is refused: \(error)") }
            }
            spawnPlain(explorer, machine, 1)
            return machine
        } check: { machine in
            if machine.processors[1].position > 0 { withVMSA += 1 }
            var problems = machine.failures
            if let cause = machine.vm.causeOfDeath { problems.append(cause) }
            if machine.host.leaked.count > 0 { problems.append("leaked pages") }
            return problems
        }
        #expect(withVMSA > 0, "the virtual CPU ran in some schedules")
    }

    @Test("One VMSA for two virtual CPUs: while one runs it the other gets BUSY, and both can run it afterwards")
    func busy() throws {
        var busy = 0
        try explore(0..<40) { explorer in
            let machine = try machineWithGuestVMSA(
                try GuestScript("touch 0x1400000 x4 shared read", "write 0x1400000 shared 01"), copies: 2)
            for index in 1...2 {
                explorer.spawn("vcpu \(index)") {
                    for _ in 0..<1000 {
                        switch machine.cpus[index].run() {
                        case .unexpectedExit(.busy): busy += 1
                        case .halted: return
                        case let exit: return explorer.fail("a run ends in \(exit)")
                        }
                        schedulePoint(.yield)
                    }
                }
            }
            return machine
        } check: { machine in
            machine.failures + (machine.processors.allSatisfy(\.isFinished) ? [] : ["a script has not ended"])
        }
        #expect(busy > 0)
    }
}
