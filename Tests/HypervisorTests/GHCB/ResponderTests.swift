// Page state changes with a VMM that answers as QEMU does: attributes, RMP and memory follow, and only then.

import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("A VMM's answers")
struct ResponderTests {
    /// A page state change of one run of 4K pages, answered by a responder.
    private func change(
        _ fixture: GHCBFixture, _ responder: VMMResponder, _ entries: [PageStateChangeEntry]
    ) -> (PageStateChangeResult?, [ResponderDecision]) {
        var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
        let header = PageStateChangeHeader(currentEntry: 0, endEntry: UInt16(entries.count - 1))
        page.store(
            ([header.rawValue] + entries.map(\.rawValue)).flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
            })
        var decisions: [ResponderDecision] = []
        var next = fixture.send(page)
        while case .exit(let exit) = next {
            // Nothing changes before user space has answered.
            decisions.append(responder.respond(to: exit, of: fixture.cpu))
            guard decisions.last == .goOn, let after = fixture.resume(fixture.cpu.takeReply()) else {
                return (nil, decisions)
            }
            next = after
        }
        let found = fixture.page
        return (found[.exitInfo1] == 0 ? PageStateChangeResult(rawValue: found[.exitInfo2]) : nil, decisions)
    }

    @Test("pages become private and shared again with attributes, RMP and guest_memfd", arguments: ["eager", "lazy"])
    func conversions(_ policy: String) throws {
        let fixture = try GHCBFixture()
        let responder = try VMMResponder(machine: fixture.vm)
        let guest = fixture.guest
        try guest.allocate(0..<2048)
        let large = PageStateChangeEntry(guest.base + 512, .makePrivate, .size2M)
        let small = (0..<3).map { PageStateChangeEntry(guest.base + 20 + UInt64($0), .makePrivate) }
        var (result, decisions) = change(fixture, responder, [large] + small)
        #expect(result == .processed && decisions == [.goOn, .goOn])
        #expect(guest.privatePages == [20..<23, 512..<1024])
        #expect(guest.sizes(512..<1024) == ["512 2M"] && guest.sizes(19..<24) == ["1 host", "3 4K", "1 host"])
        #expect(guest.violations == [])
        (result, decisions) = change(
            fixture, responder, [PageStateChangeEntry(guest.base + 512, .makeShared, .size2M)])
        #expect(result == .processed && decisions == [.goOn])
        #expect(guest.privatePages == [20..<23])
        #expect(guest.sizes(512..<1024) == ["512 unbacked"], "the hole is punched")
        #expect(guest.violations == [])
    }

    @Test("what user space gives back: shared bytes at private, private frames at shared; or nothing, if it is told so")
    func memory() throws {
        for discards in [true, false] {
            let fixture = try GHCBFixture()
            let responder = try VMMResponder(machine: fixture.vm, discardsUnusedMemory: discards)
            let guest = fixture.guest
            let gpa = (guest.base + 30).address
            try fixture.vm.writeShared([1, 2, 3], at: gpa)
            _ = change(fixture, responder, [PageStateChangeEntry(guest.base + 30, .makePrivate)])
            #expect(try fixture.vm.readShared(gpa, count: 3) == (discards ? [0, 0, 0] : [1, 2, 3]))
            #expect(guest.fault(30) == .resume)
            _ = change(fixture, responder, [PageStateChangeEntry(guest.base + 30, .makeShared)])
            #expect((guest.file.folios.frame(at: 30) == nil) == discards)
            #expect(guest.violations == [])
        }
    }

    @Test("a range in no slot cannot become private; that it is shared is true already")
    func noSlot() throws {
        let fixture = try GHCBFixture()
        let responder = try VMMResponder(machine: fixture.vm)
        let far = GFN(0xf_f000)
        #expect(change(fixture, responder, [PageStateChangeEntry(far, .makePrivate)]).1 == [.stop])
        #expect(change(fixture, responder, [PageStateChangeEntry(far, .makeShared)]).0 == .processed)
        let past = fixture.base + 2047
        let last = [PageStateChangeEntry(past, .makePrivate), PageStateChangeEntry(past + 1, .makePrivate)]
        #expect(change(fixture, responder, last).1 == [.stop], "half a range is none")
        #expect(fixture.guest.privatePages == [])
        let highest = PageStateChangeEntry(GFN(0xff_ffff_ffff), .makePrivate)
        #expect(change(fixture, responder, [highest]).1 == [.stop])
    }

    @Test("devices read as nothing, faults convert, and what ends a guest stops the loop")
    func others() throws {
        let fixture = try GHCBFixture()
        let responder = try VMMResponder(machine: fixture.vm)
        func respond(_ exit: UserExit) -> ResponderDecision {
            _ = fixture.cpu.hand(exit)
            return responder.respond(to: exit, of: fixture.cpu)
        }
        #expect(respond(.io(PortAccess(port: 0x60, size: 2, count: 2, isWrite: false))) == .goOn)
        #expect(fixture.cpu.takeReply() == .data([0xff, 0xff, 0xff, 0xff]))
        #expect(respond(.io(PortAccess(port: 0x60, size: 1, isWrite: true, data: [1]))) == .goOn)
        #expect(fixture.cpu.takeReply() == .none)
        #expect(respond(.mmio(DeviceMemoryAccess(gpa: GPA(0), byteCount: 3, isWrite: false))) == .goOn)
        #expect(fixture.cpu.takeReply() == .data([0, 0, 0]))
        let gpa = (fixture.base + 40).address
        #expect(respond(.memoryFault(gpa: gpa, byteCount: 4096, isPrivate: true, errno: .badAddress)) == .goOn)
        #expect(fixture.guest.privatePages == [40..<41])
        #expect(respond(.memoryFault(gpa: gpa, byteCount: 4096, isPrivate: true, errno: .hardwarePoison)) == .stop)
        #expect(respond(.halted) == .wait && respond(.interrupted) == .goOn)
        for exit in [
            UserExit.shutdown, .terminated(ghcb: 0x100), .failed(.ioError), .failEntry(.invalid),
            .unexpectedExit(.rdtsc),
        ] {
            #expect(respond(exit) == .stop)
        }
        let endless = MapRangeCall(gpa: GPA(0), pageCount: .max >> 12, pageSize: .size4K, attribute: .shared)
        #expect(respond(.mapRange(endless)) == .stop)
    }
}
