// Which event a virtual CPU enters with, when it asks for a window, and what ends a halt.

import Machine
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

/// A controller with a list of vectors.
private final class ListedInterrupts: LocalInterruptController {
    var vectors: [UInt8] = []
    var written: [UInt32: UInt64] = [:]
    var cr8: UInt8 = 0
    var hasInterrupt: Bool { !vectors.isEmpty }
    var timeStamp: UInt64 { 0x1234_5678_9abc }
    func takeInterrupt() -> UInt8 { vectors.removeFirst() }
    func readRegister(_ index: UInt32) -> UInt64? { index == 0x802 ? 7 : nil }
    func writeRegister(_ index: UInt32, _ value: UInt64) -> Bool {
        written[index] = value
        return index != 0x802
    }
}

@Suite("Interrupts of a virtual CPU")
struct InterruptTests {
    /// What the next entry has, given what the last exit said.
    private func enter(_ cpu: VirtualCPU) -> VMCB {
        var vmcb = VMCB(asid: ASID(rawValue: 1), nestedRoot: PFN(1), vmsa: SPA(0x1000))
        cpu.prepareEvents(&vmcb)
        return vmcb
    }

    private func exit(_ cpu: VirtualCPU, isEnabled: Bool, isShadowed: Bool = false, undelivered: EventInjection = .none)
    {
        var vmcb = VMCB(asid: ASID(rawValue: 1), nestedRoot: PFN(1), vmsa: SPA(0x1000))
        vmcb.guestInterruptMask = isEnabled
        vmcb.interruptShadow = isShadowed
        vmcb.exitInterruptInfo = undelivered
        cpu.keepEvents(vmcb)
    }

    @Test("an interrupt enters when IF is set and no shadow lies; until then a window is asked for")
    func window() throws {
        let cpu = try GHCBFixture().cpu
        let source = ListedInterrupts()
        cpu.attach(interrupts: source)
        #expect(!enter(cpu).wantsInterruptWindow)
        source.vectors = [0x41, 0x42]
        for (isEnabled, isShadowed) in [(false, false), (true, true), (false, true)] {
            exit(cpu, isEnabled: isEnabled, isShadowed: isShadowed)
            let vmcb = enter(cpu)
            #expect(!vmcb.eventInjection.isValid && vmcb.wantsInterruptWindow && vmcb.interruptShadow == isShadowed)
        }
        exit(cpu, isEnabled: true)
        let entry = enter(cpu)
        #expect(entry.eventInjection == EventInjection(.interrupt, vector: 0x41))
        #expect(entry.wantsInterruptWindow, "the second one waits")
        exit(cpu, isEnabled: false)
        exit(cpu, isEnabled: true)
        #expect(enter(cpu).eventInjection.vector == 0x42)
        exit(cpu, isEnabled: true)
        #expect(!enter(cpu).wantsInterruptWindow)
    }

    @Test("an event whose delivery an exit interrupted enters again, before anything else")
    func again() throws {
        let cpu = try GHCBFixture().cpu
        let source = ListedInterrupts()
        cpu.attach(interrupts: source)
        source.vectors = [0x42]
        let first = EventInjection(.interrupt, vector: 0x41)
        exit(cpu, isEnabled: true, undelivered: first)
        #expect(enter(cpu).eventInjection == first)
        #expect(source.vectors == [0x42])
    }

    @Test("NMIs enter whatever IF is, one at a time until the guest says that it is through, and two at most wait")
    func nonMaskable() throws {
        let fixture = try GHCBFixture()
        let cpu = fixture.cpu
        for _ in 0..<3 {
            cpu.queueNonMaskable()
            _ = cpu.serveRequests(of: fixture.vm)
        }
        let nmi = EventInjection(.nmi, vector: 2)
        exit(cpu, isEnabled: false, isShadowed: true)
        #expect(!enter(cpu).eventInjection.isValid)
        #expect(cpu.limit(1000) == 1, "nothing else tells of the shadow's end")
        exit(cpu, isEnabled: false)
        #expect(enter(cpu).eventInjection == nmi)
        exit(cpu, isEnabled: false)
        #expect(!enter(cpu).eventInjection.isValid)
        #expect(cpu.limit(1000) == 1000)
        _ = fixture.send(GHCBFixture.page(.nmiComplete))
        #expect(fixture.page.value(.exitInfo1) == 0)
        #expect(enter(cpu).eventInjection == nmi)
        exit(cpu, isEnabled: false)
        _ = fixture.send(GHCBFixture.page(.nmiComplete))
        #expect(!enter(cpu).eventInjection.isValid, "the third was one too many")
    }

    @Test("HLT waits for an interrupt that the guest takes, or an NMI; without a controller it is user space's")
    func halt() throws {
        let fixture = try GHCBFixture()
        let cpu = fixture.cpu
        guard case .exit(.halted) = cpu.halt() else {
            Issue.record("user space hears of the halt")
            return
        }
        #expect(!cpu.staysHalted())
        let source = ListedInterrupts()
        cpu.attach(interrupts: source)
        for isEnabled in [true, false] {
            exit(cpu, isEnabled: isEnabled)
            guard case .resume = cpu.halt() else {
                Issue.record("the halt is the host's")
                return
            }
            #expect(cpu.staysHalted() && cpu.staysHalted())
            source.vectors = [0x41]
            #expect(cpu.staysHalted() == !isEnabled)
            #expect(cpu.takesInterrupts == isEnabled)
            source.vectors = []
        }
        cpu.queueNonMaskable()
        _ = cpu.serveRequests(of: fixture.vm)
        #expect(!cpu.staysHalted())
    }

    @Test("KVM_INTERRUPT takes one vector, and none where a controller is in the kernel")
    func queued() throws {
        let cpu = try GHCBFixture().cpu
        try cpu.queueInterrupt(0x33)
        #expect(throws: Errno.exists) { try cpu.queueInterrupt(0x34) }
        #expect(enter(cpu).wantsInterruptWindow)
        exit(cpu, isEnabled: true)
        #expect(enter(cpu).eventInjection == EventInjection(.interrupt, vector: 0x33))
        exit(cpu, isEnabled: false)
        try cpu.queueInterrupt(0x35)
        cpu.attach(interrupts: ListedInterrupts())
        #expect(throws: Errno.noSuchAddress) { try cpu.queueInterrupt(0x36) }
    }

    @Test("APIC registers and the time go to the controller, other registers do not; CR8 follows the guest")
    func registers() throws {
        let fixture = try GHCBFixture()
        let source = ListedInterrupts()
        fixture.cpu.attach(interrupts: source)
        func access(_ index: UInt64, write value: UInt64? = nil) -> GHCBPage {
            var fields: [GHCBField: UInt64] = [.rcx: index]
            if let value { (fields[.rax], fields[.rdx]) = (value & 0xffff_ffff, value >> 32) }
            _ = fixture.send(GHCBFixture.page(.msr, value == nil ? 0 : 1, 0, fields))
            return fixture.page
        }
        #expect(access(0x802).value(.rax) == 7)
        #expect(access(0x803).value(.exitInfo1) == 1, "#GP")
        #expect(access(0x830, write: 5 << 32 | 0x40).value(.exitInfo1) == 0)
        #expect(source.written == [0x830: 5 << 32 | 0x40])
        #expect(access(0x802, write: 1).value(.exitInfo1) == 1)
        #expect(access(0x10).value(.rdx) == 0x1234)
        #expect(access(0xfe).value(.rax) == 0x508)
        source.cr8 = 3
        #expect(enter(fixture.cpu).taskPriority == 3)
        var vmcb = VMCB(asid: ASID(rawValue: 1), nestedRoot: PFN(1), vmsa: SPA(0x1000))
        vmcb.taskPriority = 9
        fixture.cpu.keepEvents(vmcb)
        #expect(source.cr8 == 9)
    }

    @Test("what waits survives being put back, and tells two states apart")
    func checkpoint() throws {
        let fixture = try GHCBFixture()
        let cpu = fixture.cpu
        func number() -> UInt64 {
            var hasher = StateHasher()
            cpu.combine(into: &hasher)
            return hasher.value
        }
        let before = (cpu.checkpoint(), number())
        cpu.queueNonMaskable()
        _ = cpu.serveRequests(of: fixture.vm)
        try cpu.queueInterrupt(1)
        #expect(number() != before.1)
        before.0.restore()
        #expect(number() == before.1)
        #expect(cpu.interruptState == InterruptState())
    }
}
