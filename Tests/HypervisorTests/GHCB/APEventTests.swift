// Virtual CPUs that start and stop each other: reset hold, jump table, AP creation, INIT and SIPI by the x2APIC.

import SNPArchitecture
import Synchronization
import Testing

@testable import Hypervisor

@Suite("AP events")
struct APEventTests {
    @Test("a reset hold by the page ends with SW_EXITINFO2 1 after a SIPI, 0 after another wake")
    func resetHold() throws {
        for host in GHCBPersonality.all {
            for sipi in [true, false] {
                let fixture = try GHCBFixture(host)
                guard case .resume = fixture.send(GHCBFixture.page(.apResetHold)) else {
                    Issue.record("a hold is no exit")
                    return
                }
                #expect(fixture.cpu.state == .apResetHold)
                #expect(fixture.page.value(.exitInfo2) == nil, "nothing is answered yet")
                if sipi { fixture.cpu.deliverSIPI() } else { fixture.cpu.setState(.runnable) }
                _ = fixture.cpu.serveRequests(of: fixture.vm)
                #expect(fixture.cpu.state == .runnable)
                _ = fixture.resume(.none)
                #expect(fixture.page.value(.exitInfo1) == 0 && fixture.page.value(.exitInfo2) == (sipi ? 1 : 0))
            }
        }
    }

    @Test("a SIPI that came before the hold does not end it")
    func staleSIPI() throws {
        let fixture = try GHCBFixture()
        fixture.cpu.deliverSIPI()
        _ = fixture.cpu.serveRequests(of: fixture.vm)
        _ = fixture.send(msr: 0x006)
        _ = fixture.cpu.serveRequests(of: fixture.vm)
        #expect(fixture.cpu.state == .apResetHold)
        fixture.cpu.deliverSIPI()
        _ = fixture.cpu.serveRequests(of: fixture.vm)
        _ = fixture.resume(.none)
        #expect(fixture.cpu.ghcb == 0x1007)
        // The next hold knows nothing of it.
        _ = fixture.send(msr: 0x006)
        fixture.cpu.setState(.runnable)
        _ = fixture.cpu.serveRequests(of: fixture.vm)
        _ = fixture.resume(.none)
        #expect(fixture.cpu.ghcb == 0x007)
    }

    @Test("the jump table's address is the machine's, and any quadword")
    func jumpTable() throws {
        let fixture = try GHCBFixture()
        for value in [0x9f000, .max, 0] as [UInt64] {
            _ = fixture.send(GHCBFixture.page(.apJumpTable, 0, value))
            #expect(fixture.page[.exitInfo1] == 0 && fixture.page[.exitInfo2] == 0)
            _ = fixture.send(GHCBFixture.page(.apJumpTable, 1, 0x77))
            #expect(fixture.page[.exitInfo1] == 0 && fixture.page[.exitInfo2] == value)
        }
    }

    @Test("a refused creation does not reach the target, whatever it was doing")
    func refusedCreation() throws {
        let fixture = try GHCBFixture()
        fixture.other.state = .apResetHold
        let vmsa = (fixture.base + 5).address
        for (input, features) in [
            (APCreationInput(.create, apicID: 1, vmsa: vmsa), 0x21), (.init(.create, apicID: 1, vmsa: vmsa + 1), 1),
            (.init(.create, apicID: 1, vmsa: (fixture.base + 512).address), 1),
            (.init(.init(rawValue: 3), apicID: 1, vmsa: vmsa), 1), (.init(.create, apicID: 1, vmpl: 1, vmsa: vmsa), 1),
            (.init(.destroy, apicID: 1, vmpl: 2, vmsa: vmsa), 1), (.init(.create, apicID: 7, vmsa: vmsa), 1),
        ] as [(APCreationInput, UInt64)] {
            _ = fixture.send(GHCBFixture.page(.apCreation, input.exitInfo1, input.vmsa.rawValue, [.rax: features]))
            #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 5, "\(input)")
            _ = fixture.other.serveRequests(of: fixture.vm)
            #expect(fixture.other.state == .apResetHold && fixture.other.vmsaSource == .launched)
        }
    }

    @Test("a created virtual CPU takes the page's frame, a destroyed one has none and does not run")
    func creation() throws {
        let fixture = try GHCBFixture()
        try fixture.guest.allocate(0..<16)
        try fixture.guest.convert(5..<6, to: .private)
        let vmsa = fixture.base + 5
        let create = APCreationInput(.create, apicID: 1, vmsa: vmsa.address)
        _ = fixture.send(GHCBFixture.page(.apCreation, create.exitInfo1, create.vmsa.rawValue, [.rax: 1]))
        #expect(fixture.page[.exitInfo1] == 0)
        _ = fixture.other.serveRequests(of: fixture.vm)
        #expect(fixture.other.state == .runnable && fixture.other.vmsaSource == .guest(vmsa))
        let destroy = APCreationInput(.destroy, apicID: 1, vmsa: GPA(0))
        _ = fixture.send(GHCBFixture.page(.apCreation, destroy.exitInfo1))
        #expect(fixture.page[.exitInfo1] == 0, "RAX is not needed")
        _ = fixture.other.serveRequests(of: fixture.vm)
        #expect(fixture.other.state == .halted && fixture.other.vmsaSource == .none)
    }

    /// Writes the interrupt command register with the x2APIC on.
    private func command(_ fixture: GHCBFixture, _ value: UInt64) {
        let fields: [GHCBField: UInt64] = [.rcx: 0x830, .rax: value & 0xffff_ffff, .rdx: value >> 32]
        _ = fixture.send(GHCBFixture.page(.msr, 1, 0, fields))
        #expect(fixture.page[.exitInfo1] == 0)
    }

    @Test("INIT and SIPI go where the interrupt command register says, once the x2APIC is on")
    func interrupts() throws {
        let fixture = try GHCBFixture()
        let off: [GHCBField: UInt64] = [.rcx: 0x830, .rax: 0x600, .rdx: 1]
        _ = fixture.send(GHCBFixture.page(.msr, 1, 0, off))
        #expect(fixture.page[.exitInfo1] == 1, "#GP while it is off")
        let on: [GHCBField: UInt64] = [.rcx: 0x1b, .rax: 0xfee0_0d00, .rdx: 0]
        _ = fixture.send(GHCBFixture.page(.msr, 1, 0, on))
        #expect(fixture.page[.exitInfo1] == 0)
        func isStarted(_ cpu: VirtualCPU) -> Bool {
            cpu.requests.withLock { requests in
                defer { requests.isStarted = false }
                return requests.isStarted
            }
        }
        // SIPI: to 1, to 9 (nobody), to all but self, to all, to self; a fixed interrupt; a broadcast.
        let cases: [(UInt64, Bool, Bool)] = [
            (1 << 32 | 0x608, false, true), (9 << 32 | 0x608, false, false), (3 << 18 | 0x608, false, true),
            (2 << 18 | 0x608, true, true), (1 << 18 | 0x608, true, false), (1 << 32 | 0x20, false, false),
            (0xffff_ffff << 32 | 0x608, true, true),
        ]
        for (value, first, second) in cases {
            command(fixture, value)
            #expect(isStarted(fixture.cpu) == first && isStarted(fixture.other) == second, "\(hex(value))")
        }
        // INIT takes the VMSA that was left for it.
        fixture.other.requests.withLock { $0.vmsaAtInit = .some(GFN(0x1005)) }
        command(fixture, 1 << 32 | 0x500)
        #expect(fixture.other.requests.withLock { $0.newVMSA } == nil, "a deassertion is nothing")
        command(fixture, 1 << 32 | 0x4500)
        #expect(fixture.other.requests.withLock { $0.newVMSA } == .some(GFN(0x1005)))
    }
}
