// Steps on private and shared pages: faults that the hypervisor resolves, and what the RMP refuses.

import Machine
import SNPArchitecture
import ScriptedGuest
import Testing

@testable import Hypervisor

@Suite("Scripted guest: pages")
struct PageStepTests {
    @Test("A first touch exits once, then raises #VC until the page is validated; then the page keeps what is written")
    func accept() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "touch 0x1000000 private read -> vc:PAGE_NOT_VALIDATED",
                "pvalidate 0x1000000 2M validate",
                "pvalidate 0x1000000 2M validate -> unchanged",
                "write 0x1000ffa private 000102030405060708090a0b",
                "read 0x1000ffa private 000102030405060708090a0b",
                "touch 0x1000000 x512 private write",
                "pvalidate 0x1000000 2M rescind",
                "pvalidate 0x1000000 2M rescind -> unchanged",
                "touch 0x11ff000 private execute -> vc:0x404"))
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [] && machine.processors[0].isFinished)
        let results = machine.processors[0].transcript.results
        #expect(results.map(\.exits) == [1, 0, 0, 0, 0, 0, 0, 0, 0], "one nested fault maps 2 MiB")
        #expect(results[5].pagesDone == 512)
        #expect(try machine.entry(3).pageSize == .size2M && machine.entry(3).validated == false)
        #expect(machine.violations == [])
    }

    @Test("PVALIDATE of 4K in a 2M entry exits with SIZEM: the host smashes the entry and the guest goes on")
    func smash() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "pvalidate 0x1003000 4K validate",
                "touch 0x1003000 private write",
                "touch 0x1004000 private write -> vc:PAGE_NOT_VALIDATED",
                "pvalidate 0x1000000 2M validate -> FAIL_SIZEMISMATCH",
                "pvalidate 0x1004000 x508 4K validate",
                "touch 0x1003000 x509 private read"))
        let before = machine.host.rmp.counts.psmashes
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [])
        #expect(machine.host.rmp.counts.psmashes == before + 1)
        #expect(try machine.entry(3).pageSize == .size4K && machine.entry(3).validated)
        #expect(try !machine.entry(2).validated)
        #expect(try machine.entry(512).pageSize == .size2M, "the neighbour is whole")
        #expect(machine.violations == [])
    }

    @Test("RMP instructions refuse: alignment, VMPLs, rights that the caller lacks; RMPQUERY says what RMPADJUST set")
    func permissions() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "rmpquery 0x1005000 vmpl0 -> vc:PAGE_NOT_VALIDATED",
                "rmpadjust 0x1005000 4K vmpl1 rw -> vc:PAGE_NOT_VALIDATED",
                "pvalidate 0x1005000 4K validate",
                "pvalidate 0x1005000 2M validate -> FAIL_INPUT",
                "rmpquery 0x1005000 vmpl0 -> rwus 4K",
                "rmpquery 0x1005000 vmpl1 -> - 4K",
                "rmpadjust 0x1005000 4K vmpl1 ru",
                "rmpquery 0x1005000 vmpl1 -> ru 4K",
                "rmpadjust 0x1005000 4K vmpl0 ru -> FAIL_PERMISSION",
                "rmpadjust 0x1005000 4K vmpl2 h -> FAIL_PERMISSION",
                "rmpadjust 0x1005000 4K vmpl2 - vmsa",
                "rmpquery 0x1005000 vmpl2 -> - 4K vmsa",
                "rmpadjust 0x1000000 2M vmpl1 rw -> FAIL_SIZEMISMATCH"))
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [])
    }

    @Test(
        "A shared access to a private page, and the reverse, goes to user space; after the conversion the step goes on")
    func implicitConversion() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "write 0x1000000 shared 11223344",
                "read 0x1000000 shared 11223344",
                "write 0x1400000 shared 55",
                "pvalidate 0x1400000 4K validate",
                "write 0x1400000 private 66"))
        let first = ScriptedMachine.base
        let second = ScriptedMachine.gpa(1024)
        #expect(
            machine.drive() == [
                .memoryFault(gpa: first, byteCount: 4096, isPrivate: false, errno: .badAddress),
                .memoryFault(gpa: second, byteCount: 4096, isPrivate: true, errno: .badAddress), .halted,
            ])
        #expect(machine.failures == [])
        #expect(machine.vm.attribute(of: first.frame) == .shared && machine.vm.attribute(of: second.frame) == .private)
        #expect(machine.violations == [])
    }

    @Test("A page that the host takes back and gives again is not validated: the guest sees it")
    func remap() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "pvalidate 0x1000000 2M validate", "write 0x1000000 private 01020304", "halt",
                "read 0x1000000 private 01020304 -> vc:PAGE_NOT_VALIDATED"))
        #expect(machine.drive() == [.halted] && !machine.processors[0].isFinished)
        try machine.vm.setMemoryAttributes(ScriptedMachine.base, byteCount: 4096, to: .shared)
        try machine.vm.setMemoryAttributes(ScriptedMachine.base, byteCount: 4096, to: .private)
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [] && machine.processors[0].isFinished)
    }

    @Test(
        "An address without a slot becomes a device's: #VC with the code of a nested page fault; a slot there is memory again"
    )
    func device() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "touch 0xfee00000 shared read -> vc:NPF", "touch 0xfee00000 shared write -> vc:0x400",
                "touch 0xfee01000 private write -> vc:NPF", "halt", "write 0xfee00000 shared 2a",
                "touch 0xffffffffff000 shared read"))
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [] && machine.violations == [])
        #expect(machine.processors[0].transcript.results.map(\.exits) == [1, 0, 1, 0])
        let user = try UserMemory(host: machine.host, byteCount: 4096)
        try machine.vm.setMemoryRegion(
            MemoryRegion(slot: 1, gpa: GPA(0xfee0_0000), byteCount: 4096, userMemory: user))
        #expect(machine.drive() == [.failed(.badAddress)], "an address past the nested tables' reach")
        #expect(machine.failures == [] && machine.violations == [])
        #expect(machine.processors[0].position == 5)
    }

    @Test("Without a hugepage behind it, every page faults on its own")
    func smallFolios() throws {
        let machine = try ScriptedMachine(
            try GuestScript("pvalidate 0x1000000 x16 4K validate", "touch 0x1000000 x16 private write"), folioOrder: 0)
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [])
        #expect(machine.processors[0].transcript.results.map(\.exits) == [16, 0])
    }

    @Test("The lazy policy gives the page at the fault; the script sees no difference")
    func lazy() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "touch 0x1000000 private read -> vc:PAGE_NOT_VALIDATED", "pvalidate 0x1000000 2M validate",
                "write 0x1000000 private 0102", "read 0x1000000 private 0102"), policy: LazyPolicy())
        #expect(try !machine.entry(0).assigned)
        #expect(machine.drive() == [.halted])
        #expect(machine.failures == [] && machine.violations == [])
    }
}
