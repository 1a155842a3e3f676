// Guests that make no progress: when a run ends for that, and what else ends it.

import Hypervisor
import Machine
import Monitor
import SNPArchitecture
import Testing

@testable import Rampart
@testable import RampartCLI

/// A person who looks on for a while and then ends the guest.
private final class ImpatientConsole: GuestConsole {
    let isInteractive = true
    private(set) var looks = 0
    private let patience: Int

    init(patience: Int) { self.patience = patience }

    func write(_ byte: UInt8) {}
    func read(waiting limit: Duration?) -> ConsoleInput {
        looks += 1
        return looks > patience ? .quit : .nothing
    }
}

@Suite("Guests that are stuck")
struct StuckGuestTests {
    /// A guest that patch 48 as posted leaves without a page.
    private func request(timeLimit: Double? = nil) throws -> RunRequest {
        RunRequest(
            program: .bundled(.convert), memory: try ByteSize(parsing: "64M"), vcpuCount: 1, policy: .asPosted,
            timeLimit: timeLimit)
    }

    @Test("a page that patch 48 as posted passes over ends the run, and the explanation says why")
    func asPosted() {
        let outcome = RampartCommand.execute(["run", "--guest", "convert", "--policy", "asPosted"])
        #expect(outcome.status == .violation)
        for part in [
            "virtual CPU 0 is stuck: its nested page fault at 0x", "It has come 1000 times in a row",
            "The policy asPosted gives the guest a page only where its attribute changes",
            "last instructions, the newest last", "  > 0x", "guest tables, CR3 0x",
            "REFUSED by the nested tables: not present", "the hypervisor's (Hypervisor)",
            "in KVM_SET_MEMORY_ATTRIBUTES to private", "no memory was behind them yet",
        ] { #expect(outcome.output.contains(part), "\(part): \(outcome.output)") }
        let json = RampartCommand.execute(["run", "--guest", "convert", "--policy", "asPosted", "--json"])
        #expect(json.status == .violation && json.output.contains("\"endingKind\": \"stuck\""))
    }

    @Test("a fault that the host serves without effect, inside KVM_RUN, is noticed too")
    func insideTheKernel() throws {
        let request = RunRequest(
            program: .bundled(.misbehave), memory: try ByteSize(parsing: "16M"), vcpuCount: 1, commandLine: "halt",
            isTraced: true)
        let run = try GuestRun.prepare(request, OutputConsole { _ in })
        let machine = run.guest.machine
        let asid = try #require(machine.asid)
        // A broken host: it has given the frames that it maps for shared pages to the guest.
        for slot in machine.memorySlots {
            for gfn in slot.frames {
                let index = slot.userIndex + (gfn.rawValue - slot.frames.lowerBound.rawValue)
                let pfn = try slot.userMemory.frame(at: index)
                _ = try run.guest.emulated.host.directMap.claimSmallPages(around: pfn)
                try run.guest.emulated.machine.rmp.rmpUpdate(pfn.address, to: .guest(asid, at: gfn.address, .size4K))
            }
        }
        let report = run.run()
        #expect(report.ending.kind == .stuck, "\(report.ending)")
        #expect(report.userExits.contains { $0.name == "end of turn" && $0.count > 900 }, "\(report.userExits)")
        // Each of these turns has taken its time, so that a timer could have woken another virtual CPU.
        let end = try #require(try TraceFile(Array(report.trace.utf8), name: "trace").events.last)
        #expect(end.time > 900 * 100_000)
        let text = try #require(report.autopsy)
        #expect(text.contains("REFUSED by the RMP: a shared access, and the page is assigned"), "\(text)")
    }

    @Test("the time limit and the user end a run in which nothing moves")
    func otherEnds() throws {
        let limited = try GuestRun.prepare(try request(timeLimit: 0.5), OutputConsole { _ in })
        limited.faultLimit = .max
        #expect(limited.run().ending == .timeLimit)

        let console = ImpatientConsole(patience: 5000)
        let watched = try GuestRun.prepare(try request(), console)
        watched.faultLimit = .max
        #expect(watched.run().ending == .quit)
        #expect(console.looks == 5001)
    }

    @Test("the same fault in a row: address, error code, no instruction, and nobody else's change")
    func inARow() {
        var fault = RepeatedFault()
        func note(_ gpa: UInt64 = 0x1000, error: UInt64 = 4, instructions: UInt64 = 7, changes: UInt64 = 2) -> Int {
            fault.note(
                GuestExit(.nestedPageFault, info1: error, info2: gpa), instructions: instructions, changes: changes)
            return fault.count
        }
        #expect([note(), note(), note()] == [1, 2, 3])
        #expect([note(0x2000), note(0x2000), note()] == [1, 2, 1])
        #expect([note(error: 6), note()] == [1, 1])
        #expect([note(instructions: 8), note(instructions: 8)] == [1, 2])
        #expect([note(instructions: 8, changes: 3), note(instructions: 8, changes: 3)] == [1, 2])
    }
}
