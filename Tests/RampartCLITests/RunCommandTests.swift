// `rampart run`: guest programs as machine code, from the measured VMSA to the exit port.

import Monitor
import Rampart
import Testing

@testable import RampartCLI

@Suite("rampart run")
struct RunCommandTests {
    private func execute(_ arguments: String...) -> CommandOutcome { RampartCommand.execute(["run"] + arguments) }

    @Test("hello boots, gets a report that verifies, and ends with 0")
    func hello() {
        let outcome = execute("--json")
        #expect(outcome.status == .good)
        #expect(outcome.output.contains("\"ending\": \"the guest ended with status 0\""))
        #expect(outcome.output.contains("\"reportRefusal\": null"))
        #expect(outcome.output.contains("hello from an SEV-SNP guest"))
        #expect(!outcome.output.contains("WRONG"))
    }

    @Test(
        "a guest that dies is explained",
        arguments: [
            ("terminate", "the guest asked to be terminated: reason set 1, reason 0x42"),
            ("triple-fault", "the guest died of a triple fault"),
            ("undefined-instruction", "the guest asked to be terminated: reason set 1, reason 0x10"),
            ("private-read-of-shared", "a private access to"), ("shared-write-to-private", "a shared access to"),
            ("bad-vmsa", "virtual CPU 1 cannot go on: VMRUN refuses its state"),
            ("halt", "every virtual CPU is halted, and nothing will wake one"),
        ])
    func deaths(_ death: (String, String)) {
        let outcome = execute("--guest", "misbehave", "--append", death.0, "--personality", "strict")
        #expect(outcome.status == .violation, "\(death.0): \(outcome.output)")
        #expect(outcome.output.contains(death.1), "\(death.0): \(outcome.output)")
        #expect(outcome.output.contains("vcpu 0: last exit"))
    }

    @Test("an endless guest is stopped by the time limit, which is no verdict")
    func timeLimit() {
        let outcome = execute("--guest", "misbehave", "--append", "spin", "--time-limit", "0.3")
        #expect(outcome.status == .unsupported)
        #expect(outcome.output.contains("the time limit was reached"))
    }

    @Test("the report that the guest hands over can be written and judged by itself")
    func reportFile() throws {
        try withFolder { folder in
            #expect(execute("--report-out", folder + "/report.bin").status == .good)
            #expect(RampartCommand.execute(["report", "show", folder + "/report.bin"]).status == .good)
        }
    }

    @Test(
        "what cannot be run is refused with what to do",
        arguments: [
            ["--guest", "nobody"], ["--guest", "hello", "--elf", "x"], ["--memory", "0"], ["--memory", "5K"],
            ["--vcpus", "0"],
            ["--vcpus", "65"], ["--personality", "kind"], ["--time-limit", "0"], ["--elf", "/nonexistent"],
            ["--memory", "64K"], ["--policy", "none"],
        ])
    func refusals(_ arguments: [String]) {
        let outcome = RampartCommand.execute(["run"] + arguments)
        #expect(outcome.status == .usage, "\(arguments): \(outcome.diagnostics)")
        #expect(outcome.diagnostics.hasPrefix("Error: "))
    }
}
