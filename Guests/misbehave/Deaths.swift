// Ways to die. Each ends the guest from outside; what the host then reports is the expectation.

import Hardware

func dieInNamedWay() {
    Case.fatal("terminate", "a termination with reason set 1, code 0x42") {
        set_ghcb_msr(0x42 << 16 | 1 << 12 | 0x100)
        vmgexit()
    }
    Case.fatal("terminate-page", "a termination asked for by the page protocol") {
        Console.flush()
        guard let ghcb = GHCB.current else { return }
        ghcb.begin()
        _ = ghcb.call(ExitCode.terminate, 0x42 << 4 | 1)
    }
    Case.fatal("triple-fault", "a shutdown") {
        Console.flush()
        load_idt(0, 0)
        undefined_instruction()
    }
    Case.fatal("undefined-instruction", "exception 6, and the guest's own termination") { undefined_instruction() }
    Case.fatal("unexpected-vc", "exception 29 with error 0x81, and the guest's own termination") { hypervisor_call() }
    Case.fatal("touch-unvalidated-fatal", "exception 29 with error 0x404, and the guest's own termination") {
        store64(unvalidatedPage(), 1)
    }
    Case.fatal("private-read-of-shared", "a memory fault: a private access to memory that is shared") {
        let page = Pages.allocateShared()
        PageTables.map(page, 1, isPrivate: true)
        _ = load64(page)
    }
    Case.fatal("shared-write-to-private", "a memory fault: a shared access to memory that is private") {
        let page = Pages.allocate()
        PageTables.map(page, 1, isPrivate: false)
        store64(page, 1)
    }
    Case.fatal("validate-shared", "a memory fault: PVALIDATE of memory that is shared") {
        let page = Pages.allocateShared()
        PageTables.map(page, 1, isPrivate: true)
        _ = pvalidate(page, 0, 1)
    }
    Case.fatal("unregistered-ghcb", "a run that fails, or malformed input 1, as the host pleases") {
        Console.flush()
        let page = Pages.allocateShared()
        let other = GHCB(address: page)
        other.begin()
        let result = other.call(ExitCode.features)
        set_ghcb_msr(boot_ghcb())
        Check.equal(result.action << 32 | result.info2, Answer.malformed << 32 | 1, "a GHCB that is not registered")
        leave(Check.failureCount == 0 ? 0 : 1)
    }
    Case.fatal("bad-vmsa", "virtual CPU 1 cannot be entered") {
        let page = Pages.allocate()
        Console.flush()
        guard let ghcb = GHCB.current else { return }
        ghcb.begin()
        ghcb.set(.rax, sev_status() >> 2)
        Check.that(ghcb.call(ExitCode.createProcessor, 1 << 32 | 1, page).isDone, "the host takes any page for a VMSA")
        while true { pause_processor() }
    }
    Case.fatal("halt", "a processor that halts with interrupts off") {
        Console.flush()
        while true { halt() }
    }
    Case.fatal("spin", "a guest that never ends") {
        Console.flush()
        while true { pause_processor() }
    }
}
