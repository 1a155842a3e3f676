// KVM_RUN: who may run, when a run ends, and what other threads can ask of a virtual CPU.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import ScriptedGuest
import Testing

@testable import Hypervisor

/// Faults at every entry on a page that nothing is wrong with, and completes nothing.
private final class SpuriousFaults: GuestProcessor {
    private let gpa: GPA
    private(set) var entries = 0
    /// Called at each entry, with its number.
    var onEntry: (Int) -> Void = { _ in }

    init(at gpa: GPA) { self.gpa = gpa }

    func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        guard !interrupt.isRaised else { return GuestExit(.interrupt) }
        entries += 1
        onEntry(entries)
        // A host that does not come out is noticed, not waited for.
        guard entries < 1000 else { return GuestExit(.shutdown) }
        let error: PageFaultError = [.user, .finalAddress, .encrypted]
        return GuestExit(.nestedPageFault, info1: error.rawValue, info2: gpa.rawValue)
    }
}

@Suite("Running a virtual CPU")
struct RunTests {
    private func script(_ pages: Int = 100) throws -> GuestScript {
        try GuestScript("pvalidate 0x1000000 x\(pages) 4K validate", "touch 0x1000000 x\(pages) private write")
    }

    @Test("A run is refused in the order: dead, no processor, interrupted, not runnable, no VMSA")
    func refusals() throws {
        let machine = try ScriptedMachine(try script(), try script())
        let late = try VirtualMachine(host: machine.host)
        try late.sevInit2()
        let bare = try late.createVirtualCPU(id: 0, initialState: .scripted())
        #expect(bare.run() == .failed(.invalidArgument), "no processor")
        bare.attach(ScriptedProcessor(try script()))
        #expect(bare.run() == .failed(.invalidArgument), "not launched")
        bare.interruptRun()
        #expect(bare.run() == .interrupted)
        #expect(machine.cpus[1].run() == .halted, "an application processor waits for its start")
        machine.cpus[1].interruptRun()
        #expect(machine.cpus[1].run() == .interrupted)
        machine.vm.destroy()
        machine.cpus[0].interruptRun()
        #expect(machine.cpus[0].run() == .failed(.ioError))
        late.destroy()
    }

    @Test("A budget ends a run, and the next goes on where it stopped: the guest cannot tell")
    func budget() throws {
        let machine = try ScriptedMachine(try script())
        var runs = 0
        while machine.cpus[0].run(budget: 7) == .interrupted { runs += 1 }
        #expect(machine.failures == [] && machine.processors[0].isFinished)
        #expect(machine.cpus[0].run(budget: 0) == .interrupted)
        let whole = try ScriptedMachine(try script())
        #expect(whole.drive() == [.halted])
        // 200 pages, and one go more for each fault.
        let faults = whole.processors[0].transcript.results.reduce(0) { $0 + Int($1.exits) }
        #expect(faults > 100 && runs == (200 + faults - 1) / 7)
        #expect(whole.outcomes() == machine.outcomes())
    }

    @Test("A budget or an interrupt ends a run in which a fault repeats that the host takes for served")
    func repeatedFault() throws {
        let machine = try ScriptedMachine(try GuestScript())
        let processor = SpuriousFaults(at: ScriptedMachine.gpa(3))
        machine.cpus[0].attach(processor)
        #expect(machine.cpus[0].run(budget: 50) == .interrupted)
        #expect(processor.entries == 50)
        processor.onEntry = { if $0 == 80 { machine.cpus[0].interruptRun() } }
        #expect(machine.cpus[0].run() == .interrupted)
        #expect(processor.entries == 80)
    }

    @Test("INIT and SIPI: the first SIPI starts the launched state, later ones change nothing")
    func startup() throws {
        let machine = try ScriptedMachine(try script(), try GuestScript("touch 0x1400000 shared read", "halt", "pause"))
        machine.cpus[1].deliverInit()
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 0)
        machine.cpus[1].deliverSIPI()
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 2)
        machine.cpus[1].deliverSIPI()
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].isFinished)
        #expect(machine.failures == [])
    }

    @Test("A triple fault is KVM_EXIT_SHUTDOWN; a VMSA that VMRUN refuses is KVM_EXIT_FAIL_ENTRY")
    func ends() throws {
        let machine = try ScriptedMachine(try GuestScript("shutdown", "pause"))
        #expect(machine.cpus[0].run() == .shutdown)
        let pfn = try #require(machine.cpus[0].vmsaFrame)
        var state = VMSA.scripted()
        state.efer = 0
        let key = try #require(machine.emulated.machine.encryption.key(for: machine.vm.asid ?? .host))
        machine.emulated.machine.memory.store(state.bytes, at: pfn.address, key: key)
        #expect(machine.cpus[0].run() == .failEntry(.invalid))
        machine.rmp.setInUse(pfn, true)
        #expect(machine.cpus[0].run() == .unexpectedExit(.busy))
        machine.rmp.setInUse(pfn, false)
    }

    @Test("The guest's registers are in its VMSA, encrypted, at every exit")
    func protectedState() throws {
        let machine = try ScriptedMachine(try GuestScript("halt"))
        #expect(machine.cpus[0].run() == .halted)
        let pfn = try #require(machine.cpus[0].vmsaFrame)
        let seen = try machine.host.read(pfn.address, count: 4096)
        #expect(VMSA(bytes: seen)?.guestExitCode != ExitCode.halt.rawValue)
        let key = try #require(machine.emulated.machine.encryption.key(for: machine.vm.asid ?? .host))
        let real = try #require(
            VMSA(bytes: machine.emulated.machine.memory.bytes(pfn.address, count: 4096, key: key)))
        #expect(real.guestExitCode == ExitCode.halt.rawValue && real.efer == 0x1000)
    }

    @Test("Real threads: virtual CPUs run while another thread interrupts them and converts, then destroys the machine")
    func threads() throws {
        let text = "pvalidate 0x1000000 x64 4K validate -> any\ntouch 0x1000000 x64 private write -> any\n"
        let program = try GuestScript(text: String(repeating: text, count: 50))
        for _ in 0..<5 {
            let machine = try ScriptedMachine(program, program, continuesAfterFailure: true)
            machine.cpus[1].setState(.runnable)
            let vm = machine.vm
            let cpus = machine.cpus
            FreeThreads.run(
                cpus.map { cpu in
                    { @Sendable in
                        while true {
                            switch cpu.run(budget: 500) {
                            case .interrupted, .memoryFault: continue
                            case .halted, .failed(.ioError): return
                            case let exit:
                                Issue.record("a run ends in \(exit)")
                                return
                            }
                        }
                    }
                } + [
                    { @Sendable in
                        for round in 0..<20 as Range<UInt64> {
                            for cpu in cpus { cpu.interruptRun() }
                            _ = try? vm.setMemoryAttributes(
                                ScriptedMachine.gpa(round), byteCount: 8192, to: round % 2 == 0 ? .shared : .private)
                        }
                        vm.destroy()
                    }
                ])
            #expect(vm.causeOfDeath == nil)
            #expect(machine.host.leaked.count == 0)
            #expect(machine.host.checkInvariants(of: []) == [])
        }
    }
}
