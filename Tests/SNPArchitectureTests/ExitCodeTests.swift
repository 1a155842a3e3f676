// Exit codes and injected events: numbers as the manuals give them, names without doubles.

import SNPArchitecture
import Testing

@Suite("Exit codes and events")
struct ExitCodeTests {
    @Test(
        "Codes have the manual's numbers",
        arguments: [
            (ExitCode.machineCheck, 0x52), (.interrupt, 0x60), (.virtualInterrupt, 0x64), (.rdtsc, 0x6e),
            (.cpuid, 0x72),
            (.pause, 0x77), (.halt, 0x78), (.ioio, 0x7b), (.msr, 0x7c), (.shutdown, 0x7f), (.vmmcall, 0x81),
            (.rdtscp, 0x87), (.wbinvd, 0x89), (.monitor, 0x8a), (.mwait, 0x8b), (.eferWriteTrap, 0x8f),
            (.controlRegisterWriteTrap(8), 0x98), (.busLock, 0xa5), (.idleHalt, 0xa6), (.nestedPageFault, 0x400),
            (.vmgexit, 0x403), (.pageNotValidated, 0x404), (.invalid, UInt64.max), (.busy, UInt64.max - 1),
            (.idleRequired, UInt64.max - 2), (.invalidPMC, UInt64.max - 3), (.mmioRead, 0x8000_0001),
            (.pageStateChange, 0x8000_0010), (.apCreation, 0x8000_0013), (.runVMPL, 0x8000_0018),
            (.hypervisorFeatures, 0x8000_fffd), (.unsupportedEvent, 0x8000_ffff),
        ] as [(ExitCode, UInt64)])
    func numbers(_ code: ExitCode, _ number: UInt64) { #expect(code.rawValue == number) }

    @Test("Every name and every number stands once, and an unknown code prints as its number")
    func names() {
        let named = ExitCode.named
        #expect(Set(named.map(\.name)).count == named.count && Set(named.map(\.code)).count == named.count)
        #expect(named.allSatisfy { $0.code.description == $0.name })
        #expect(ExitCode(0x1234).description == "0x1234")
    }

    @Test("An event packs vector, kind and error code, and says when it is none")
    func events() {
        #expect(EventInjection(.exception, vector: 13).rawValue == 0x8000_030d)
        let fault = EventInjection(.exception, vector: 14, errorCode: 0x8000_0001)
        #expect(fault.rawValue == 0x8000_0001_8000_0b0e)
        #expect(fault.isValid && fault.vector == 14 && fault.kind == .exception && fault.errorCode == 0x8000_0001)
        #expect(EventInjection(.nmi, vector: 2).errorCode == nil && !EventInjection.none.isValid)
        #expect(EventInjection(rawValue: 1 << 8).kind == nil)
    }
}
