// Steps that ask the host, and what user space sees of them.

import Machine
import SNPArchitecture
import ScriptedGuest
import Testing

@testable import Hypervisor

@Suite("Scripted guest: requests")
struct GHCBStepTests {
    private let setUp = "msr 0x1400012 -> 0x1400013\nghcb 0x1400000\n"

    @Test("A page state change is one hypercall for pages in a row, and the guest's next step waits for the reply")
    func hypercall() throws {
        let machine = try ScriptedMachine(
            try GuestScript(text: setUp + "psc 0x1400000 x600 4K private\npause"))
        // The GHCB's own page is among the first 253: the host cannot answer there any more once it is private.
        let call = MapRangeCall(gpa: ScriptedMachine.gpa(1024), pageCount: 253, pageSize: .size4K, attribute: .private)
        #expect(machine.cpus[0].run() == .mapRange(call))
        #expect(machine.processors[0].position == 2)
        machine.cpus[0].reply(.result(22))
        #expect(machine.cpus[0].run() == .halted)
        #expect(machine.outcomes().last == .response(info1: 0, info2: 0x100 << 32), "refused, and the guest heard it")
        #expect(machine.failures.count == 1 && machine.failures[0].hasPrefix("step 2: psc 0x1400000 x600 4K:"))
    }

    @Test("Many entries take as many events as they need, each of at most 253")
    func batches() throws {
        let machine = try ScriptedMachine(
            try GuestScript(text: setUp + "psc 0x1500000 x600 4K private\npvalidate 0x1500000 x600 4K validate"))
        let exits = machine.drive()
        #expect(machine.failures == [] && machine.violations == [])
        let counts = exits.compactMap { exit -> UInt64? in
            if case .mapRange(let call) = exit { call.pageCount } else { nil }
        }
        #expect(counts == [253, 253, 94])
    }

    @Test("Termination reaches user space with the MSR, and the guest does nothing more")
    func termination() throws {
        let machine = try ScriptedMachine(try GuestScript("terminate 1 7", "touch 0x1000000 private read"))
        #expect(machine.cpus[0].run() == .terminated(ghcb: 0x7_1100))
        #expect(machine.cpus[0].run() == .halted)
        #expect(machine.failures == [] && machine.processors[0].transcript.stepCount == 1)
    }

    @Test("A step that asks without a page for it says so")
    func noPage() throws {
        for step in ["vmgexit HV_FEATURES", "psc 0x1500000 4K private"] {
            let machine = try ScriptedMachine(try GuestScript(step))
            #expect(machine.drive() == [.halted])
            #expect(machine.outcomes() == [.noGHCB])
        }
    }

    @Test("A GHCB in private memory, or at a device's address, is a fault of the guest's own access")
    func badPage() throws {
        let machine = try ScriptedMachine(
            try GuestScript("ghcb 0xfee00000", "vmgexit HV_FEATURES -> info2=3"))
        #expect(machine.drive() == [.halted])
        #expect(machine.outcomes() == [.done, .exception(.nestedPageFault)])
    }

    @Test("An unexpected outcome ends the script, unless it is to go on; the transcript says what was expected")
    func unexpected() throws {
        let script = try GuestScript("msr 0x2 -> 0x5", "touch 0x1400000 shared read")
        let machine = try ScriptedMachine(script)
        #expect(machine.drive() == [.halted] && machine.processors[0].transcript.stepCount == 1)
        #expect(machine.failures == ["step 0: msr 0x2: 0x2000133000001, expected 0x5"])
        let going = try ScriptedMachine(script, continuesAfterFailure: true)
        going.drive()
        #expect(going.processors[0].transcript.stepCount == 2 && going.failures.count == 1)
    }
}
