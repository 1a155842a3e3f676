// AP creation: who may give a virtual CPU a VMSA, and what becomes of it.

import Machine
import SNPArchitecture
import ScriptedGuest
import Testing

@testable import Hypervisor

@Suite("A VMSA of the guest's own")
struct GuestVMSATests {
    private let vmsaPage: UInt64 = 5
    private var gpa: GPA { ScriptedMachine.gpa(vmsaPage) }

    /// Two virtual CPUs; the first has made a VMSA at page 5 and halts.
    private func machine(_ vmsa: VMSA = .scripted(vmpl: .vmpl1), second: String = "halt") throws -> ScriptedMachine {
        var first = GuestScript()
        try first.pvalidate(gpa)
        try first.write(gpa, .private, vmsa.bytes)
        try first.rmpAdjust(gpa, target: .vmpl1, [], vmsa: true)
        let machine = try ScriptedMachine(first, try GuestScript(text: second))
        #expect(machine.drive() == [.halted] && machine.failures == [])
        return machine
    }

    @Test("Refusals, in order, leave the target as it was")
    func refusals() throws {
        let machine = try machine()
        let vm = machine.vm
        let good: UInt32 = 1
        #expect(!vm.createAP(7, apicID: 9, vmsa: GPA(1), features: nil), "an unknown APIC identifier")
        #expect(!vm.createAP(7, apicID: 1, vmsa: GPA(1), features: nil), "an unknown request")
        #expect(!vm.createAP(1 << 16 | 1, apicID: 1, vmsa: gpa, features: 1), "a VMPL in the request")
        #expect(!vm.createAP(good, apicID: 1, vmsa: gpa, features: nil), "no SEV_FEATURES")
        #expect(!vm.createAP(good, apicID: 1, vmsa: gpa, features: 3), "other SEV_FEATURES")
        #expect(!vm.createAP(good, apicID: 1, vmsa: gpa + 8, features: 1), "not page aligned")
        #expect(!vm.createAP(good, apicID: 1, vmsa: GPA(1 << 51), features: 1), "past the address width")
        #expect(!vm.createAP(good, apicID: 1, vmsa: ScriptedMachine.base, features: 1), "2 MiB aligned")
        #expect(!vm.createAP(0, apicID: 1, vmsa: ScriptedMachine.base, features: 1), "on INIT too")
        machine.cpus[1].deliverInit()
        #expect(machine.cpus[1].run() == .halted && machine.cpus[1].vmsaSource == .launched)
        #expect(machine.cpus[1].state == .uninitialized)
        #expect(vm.createAP(good, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].isFinished)
    }

    @Test("Create on INIT waits for INIT")
    func onInit() throws {
        let machine = try machine()
        #expect(machine.vm.createAP(0, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 0)
        machine.cpus[1].deliverInit()
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].isFinished)
    }

    @Test("The new VMSA's VMPL is the one that runs")
    func vmpl() throws {
        let text =
            "pvalidate 0x1200000 2M validate -> FAIL_PERMISSION\nrmpadjust 0x1006000 4K vmpl1 r -> FAIL_PERMISSION"
        let machine = try machine(second: text)
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.drive(1) == [.halted])
        #expect(machine.failures == [] && machine.processors[1].isFinished)
    }

    @Test("Destroyed: the virtual CPU does not run, and its page is an ordinary one again")
    func destroy() throws {
        let machine = try machine(second: "halt\nhalt\npause")
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.cpus[1].run() == .halted)
        #expect(machine.vm.createAP(2, apicID: 1, vmsa: GPA(0), features: nil))
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 1)
        #expect(machine.cpus[1].vmsaSource == .none)
        #expect(try !machine.entry(vmsaPage).locked)
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 2)
    }

    @Test("A page that is no VMSA is VMRUN's to refuse; one without memory or shared leaves the virtual CPU halted")
    func bad() throws {
        let machine = try machine()
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: ScriptedMachine.gpa(6), features: 1))
        #expect(machine.cpus[1].run() == .failEntry(.invalid))
        for page in [1030, 5000] as [UInt64] {
            #expect(machine.vm.createAP(1, apicID: 1, vmsa: ScriptedMachine.gpa(page), features: 1))
            #expect(machine.cpus[1].run() == .halted && machine.cpus[1].state == .halted)
        }
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: gpa, features: 1))
        try machine.vm.setMemoryAttributes(gpa, byteCount: 4096, to: .shared)
        #expect(machine.cpus[1].run() == .halted, "made shared before the virtual CPU took it")
        #expect(machine.processors[1].position == 0)
    }

    @Test("A VMSA that was taken and then made shared: KVM_RUN fails with EINVAL")
    func lost() throws {
        let machine = try machine(second: "halt\npause")
        #expect(machine.vm.createAP(1, apicID: 1, vmsa: gpa, features: 1))
        #expect(machine.cpus[1].run() == .halted && machine.processors[1].position == 1)
        try machine.vm.setMemoryAttributes(gpa, byteCount: 4096, to: .shared)
        #expect(machine.cpus[1].run() == .failed(.invalidArgument))
        #expect(machine.vm.causeOfDeath == nil && machine.violations == [])
    }
}
