// Guest requests from the GHCB to the firmware and back: pages, certificates, errors of both sides.

import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Guest requests by GHCB")
struct GuestRequestEventTests {
    /// Request at page 4, response at page 5, certificates from page 6 on.
    private func fixture(_ host: GHCBPersonality = .kvm2026, certificates: Bool = false) throws -> GHCBFixture {
        let fixture = try GHCBFixture(host, asksForCertificates: certificates)
        try fixture.vm.snpLaunchStart(policy: .standard)
        try fixture.vm.snpLaunchFinish()
        return fixture
    }

    private func request(_ fixture: GHCBFixture, _ code: ExitCode = .guestRequest, pages: UInt64 = 2) -> GHCBPage {
        GHCBFixture.page(
            code, (fixture.base + 4).address.rawValue, (fixture.base + 5).address.rawValue,
            [.rax: (fixture.base + 6).address.rawValue, .rbx: pages])
    }

    /// A header that firmware takes for a message of this kind, sealed with nothing.
    private func unsealed(_ type: GuestMessageType = .reportRequest) -> [UInt8] {
        let header = GuestMessageHeader(type: type, sequenceNumber: 1, messageSize: 96, vmpck: 0)
        return header.encoded + [UInt8](repeating: 0x77, count: 4096 - GuestMessageHeader.byteCount)
    }

    private func result(_ fixture: GHCBFixture) -> GuestRequestResult? {
        let page = fixture.page
        return page[.exitInfo1] == 0 ? GuestRequestResult(rawValue: page[.exitInfo2]) : nil
    }

    @Test("firmware's refusal is the guest's to read, the answer page is copied all the same, and no page is lost")
    func refusals() throws {
        let fixture = try fixture()
        let free = fixture.guest.host.allocator.freeFrameCount
        for (message, status) in [
            ([UInt8](repeating: 0, count: 4096), FirmwareStatus.invalidParam), (unsealed(), .badMeasurement),
        ] {
            try fixture.vm.writeShared(message, at: (fixture.base + 4).address)
            try fixture.vm.writeShared([UInt8](repeating: 0xee, count: 4096), at: (fixture.base + 5).address)
            #expect(fixture.trace(fixture.send(request(fixture))).isEmpty)
            #expect(result(fixture) == GuestRequestResult(firmware: status))
            let answer = try fixture.vm.readShared((fixture.base + 5).address, count: 4096)
            #expect(answer.allSatisfy { $0 == 0 }, "nothing of the host's, nothing of before")
        }
        #expect(fixture.guest.host.allocator.freeFrameCount == free - 3, "three pages of user memory")
        #expect(fixture.guest.host.leaked.count == 0)
        #expect(fixture.guest.violations == [])
    }

    @Test("firmware reads a copy: the pages it is given are never the guest's")
    func copies() throws {
        let fixture = try fixture()
        try fixture.vm.writeShared(unsealed(), at: (fixture.base + 4).address)
        let commands = fixture.guest.host.firmware.commandCount
        let counts = fixture.guest.host.rmp.counts
        _ = fixture.trace(fixture.send(request(fixture)))
        // SNP_GUEST_REQUEST alone: the page for the answer is firmware's for as long as the machine lives.
        #expect(fixture.guest.host.firmware.commandCount == commands + 1)
        #expect(fixture.guest.host.rmp.counts.updates == counts.updates)
    }

    @Test("without certificates an extended request for a report gets an empty table, other messages leave RAX alone")
    func emptyTable() throws {
        for (type, pages, isCleared) in [
            (GuestMessageType.reportRequest, 2, true), (.reportRequest, 0, false), (.keyRequest, 2, false),
        ] as [(GuestMessageType, UInt64, Bool)] {
            let fixture = try fixture()
            try fixture.vm.writeShared(unsealed(type), at: (fixture.base + 4).address)
            try fixture.vm.writeShared([UInt8](repeating: 0xee, count: 40), at: (fixture.base + 6).address)
            #expect(fixture.trace(fixture.send(request(fixture, .extendedGuestRequest, pages: pages))).isEmpty)
            #expect(result(fixture) == GuestRequestResult(firmware: .badMeasurement))
            let table = try fixture.vm.readShared((fixture.base + 6).address, count: 40)
            #expect(table == [UInt8](repeating: isCleared ? 0 : 0xee, count: 24) + [UInt8](repeating: 0xee, count: 16))
        }
    }

    @Test(
        "an extended request for a report needs RAX and RBX, RAX page aligned; for another message Linux does not look")
    func extendedInputs() throws {
        for host in GHCBPersonality.all {
            for type in [GuestMessageType.reportRequest, .keyRequest] {
                for field in [GHCBField.rax, .rbx] {
                    let fixture = try fixture(host)
                    try fixture.vm.writeShared(unsealed(type), at: (fixture.base + 4).address)
                    var page = request(fixture, .extendedGuestRequest)
                    page.validBitmap.remove(field)
                    _ = fixture.trace(fixture.send(page))
                    let found = fixture.page
                    if host.requiresCertificateBuffer {
                        #expect(found[.exitInfo1] == 2 && found[.exitInfo2] == 4)
                    } else if type == .reportRequest {
                        #expect(found[.exitInfo1] == 2 && found[.exitInfo2] == 5)
                    } else {
                        #expect(result(fixture) == GuestRequestResult(firmware: .badMeasurement))
                    }
                }
                let fixture = try fixture(host)
                try fixture.vm.writeShared(unsealed(type), at: (fixture.base + 4).address)
                var page = request(fixture, .extendedGuestRequest)
                page.set(.rax, page[.rax] + 8)
                _ = fixture.trace(fixture.send(page))
                #expect((fixture.page[.exitInfo1] == 2) == (type == .reportRequest))
            }
        }
    }

    @Test("each reply of user space to KVM_EXIT_SNP_REQ_CERTS is what the guest hears")
    func certificateReplies() throws {
        let cases: [(UserReply, GuestRequestResult?, rbx: UInt64)] = [
            (.result(0), GuestRequestResult(firmware: .badMeasurement), 2),
            (.none, GuestRequestResult(firmware: .badMeasurement), 2),
            (.certificates(error: nil, pageCount: 1), GuestRequestResult(firmware: .badMeasurement), 2),
            (.certificates(error: .noSpace, pageCount: 9), GuestRequestResult(vmm: .invalidLength), 9),
            (.certificates(error: .again, pageCount: 9), GuestRequestResult(vmm: .busy), 2),
            (.certificates(error: .ioError, pageCount: 9), GuestRequestResult(vmm: .generic), 2),
            (.result(28), GuestRequestResult(vmm: .invalidLength), 2), (.result(11), GuestRequestResult(vmm: .busy), 2),
            (.result(5), GuestRequestResult(vmm: .generic), 2),
            (.certificates(error: .busy, pageCount: 9), nil, 2), (.result(22), nil, 2), (.result(.max), nil, 2),
        ]
        for (reply, expected, rbx) in cases {
            let fixture = try fixture(certificates: true)
            try fixture.vm.writeShared(unsealed(), at: (fixture.base + 4).address)
            let commands = fixture.guest.host.firmware.commandCount
            let steps = fixture.trace(fixture.send(request(fixture, .extendedGuestRequest)), [reply])
            let exit = "certificates(\(fixture.base + 6)+2)"
            guard let expected else {
                #expect(steps == [exit, "fail(EINVAL)"])
                continue
            }
            #expect(steps == [exit])
            #expect(result(fixture) == expected, "\(reply)")
            #expect(fixture.page[.rbx] == rbx)
            let reaches = expected.vmm == .none
            #expect(fixture.guest.host.firmware.commandCount == commands + (reaches ? 1 : 0), "\(reply)")
        }
    }

    @Test("a message that changes while user space looks for certificates is the one that was copied")
    func messageChanges() throws {
        let fixture = try fixture(certificates: true)
        try fixture.vm.writeShared(unsealed(), at: (fixture.base + 4).address)
        guard case .exit = fixture.send(request(fixture, .extendedGuestRequest)) else {
            Issue.record("no exit")
            return
        }
        try fixture.vm.writeShared([UInt8](repeating: 0, count: 4096), at: (fixture.base + 4).address)
        _ = fixture.resume(.result(0))
        #expect(result(fixture) == GuestRequestResult(firmware: .badMeasurement), "zeros would be INVALID_PARAM")
    }

    @Test("an answer page in no slot is the run's failure, or the guest's fault")
    func unwritableAnswer() throws {
        for host in GHCBPersonality.all {
            let fixture = try fixture(host)
            try fixture.vm.writeShared(unsealed(), at: (fixture.base + 4).address)
            var page = request(fixture)
            page.set(.exitInfo2, 0xff00_0000)
            let steps = fixture.trace(fixture.send(page))
            if host.unreadableMessage == .run {
                #expect(steps == ["fail(EIO)"])
            } else {
                #expect(steps.isEmpty && fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 5)
            }
            #expect(fixture.guest.violations == [])
        }
    }

    @Test("the responder gives its table where it fits, says how many pages it needs where not")
    func responder() throws {
        let table = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        for pages in [1, 2] as [UInt64] {
            let fixture = try fixture(certificates: true)
            let responder = try VMMResponder(machine: fixture.vm, certificates: table)
            try fixture.vm.writeShared(unsealed(), at: (fixture.base + 4).address)
            guard case .exit(let exit) = fixture.send(request(fixture, .extendedGuestRequest, pages: pages)) else {
                Issue.record("no exit")
                return
            }
            #expect(responder.respond(to: exit, of: fixture.cpu) == .goOn)
            _ = fixture.resume(fixture.cpu.takeReply())
            let found = try fixture.vm.readShared((fixture.base + 6).address, count: 5000)
            if pages == 2 {
                #expect(result(fixture) == GuestRequestResult(firmware: .badMeasurement))
                #expect(found == table)
            } else {
                #expect(result(fixture) == GuestRequestResult(vmm: .invalidLength))
                #expect(fixture.page[.rbx] == 2 && found.allSatisfy { $0 == 0 })
            }
        }
    }

    @Test("certificates are asked for only by SNP machines, and only before there are virtual CPUs")
    func enabling() throws {
        let fixture = try GHCBFixture()
        #expect(throws: Errno.invalidArgument) { try fixture.vm.enableCertificateRequests() }
        let plain = try VirtualMachine(host: fixture.guest.host, kind: .standard)
        #expect(throws: Errno.invalidArgument) { try plain.enableCertificateRequests() }
        #expect(throws: Errno.invalidArgument) { try plain.enableHypercallExits([.kick]) }
    }
}
