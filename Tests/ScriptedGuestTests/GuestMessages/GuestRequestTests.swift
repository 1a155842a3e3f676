// A launched guest that asks firmware through the host: the guest's secrets, the host's pages, the firmware's statuses.

import Hypervisor
import Machine
import Monitor
import Rampart
import SNPArchitecture
import ScriptedGuest
import Testing

@Suite("A guest's requests through SNP_GUEST_REQUEST")
struct GuestRequestTests {
    static func guest() throws -> AttestedGuest {
        let plan = try LaunchPlan(
            image: BundledImage.image,
            configuration: LaunchConfiguration(signature: CPUSignature(rawValue: Product.genoa.signature)))
        return try AttestedGuest(plan)
    }

    static func violations(_ guest: AttestedGuest) -> [String] {
        guest.guest.emulated.host.checkInvariants(of: [guest.guest.machine]).map(\.description)
    }

    @Test("a report comes back under each VMPCK, says what was asked, and leaves the host's pages as they were")
    func report() throws {
        let guest = try Self.guest()
        let host = guest.guest.emulated.host
        _ = try guest.report(ReportRequestMessage())
        let free = host.allocator.freeFrameCount
        for vmpck in 0..<4 {
            let data = [UInt8](repeating: UInt8(vmpck) + 1, count: 64)
            let bytes = try guest.report(ReportRequestMessage(reportData: data, vmpl: 3), vmpck: vmpck)
            let report = try AttestationReport(decoding: bytes)
            #expect(report.reportData == data && report.vmpl == 3)
            #expect(report.measurement == guest.guest.digest)
        }
        #expect(host.allocator.freeFrameCount == free && host.leaked.count == 0)
        #expect(Self.violations(guest).isEmpty)
    }

    @Test("firmware refuses a VMPL below the VMPCK inside the message, and the channel goes on")
    func refusedInside() throws {
        let guest = try Self.guest()
        #expect(throws: GuestRequestFailure.message(.refused(.invalidParam))) {
            try guest.report(ReportRequestMessage(vmpl: 0), vmpck: 1)
        }
        #expect(throws: GuestRequestFailure.message(.refused(.invalidKey))) {
            try guest.report(ReportRequestMessage(vmpl: 1, keySelection: .vlek), vmpck: 1)
        }
        #expect(try guest.report(ReportRequestMessage(vmpl: 1), vmpck: 1).count == 1184)
    }

    @Test(
        "snpguest's case: a report under VMPCK1; the same message again is 1D, a bad tag 0B, and neither moves the sequence"
    )
    func replay() throws {
        let guest = try Self.guest()
        var channel = try GuestMessageChannel(vmpck: 1, secrets: guest.secrets)
        let page = try channel.seal(.reportRequest, ReportRequestMessage(reportData: [5], vmpl: 1).encoded)
        var spoilt = page
        spoilt[0x61] ^= 1
        #expect(Self.status { try guest.exchange(spoilt) }?.rawValue == 0x0b)
        let answer = try guest.exchange(page)
        #expect(Self.status { try guest.exchange(page) }?.rawValue == 0x1d)
        #expect(try ReportResponseMessage(decoding: channel.open(answer)).report[0x50] == 5)
        let next = try channel.seal(.reportRequest, ReportRequestMessage(vmpl: 1).encoded)
        #expect(try channel.open(guest.exchange(next)).count == 0x4c0)
        #expect(guest.guest.emulated.host.leaked.count == 0 && Self.violations(guest).isEmpty)
    }

    private static func status(_ body: () throws -> [UInt8]) -> FirmwareStatus? {
        do {
            _ = try body()
            return nil
        } catch GuestRequestFailure.host(let status, _) { return status } catch { return nil }
    }

    @Test("what the host carries is ciphertext: neither the request's data nor the answer's measurement stands in it")
    func sealed() throws {
        let guest = try Self.guest()
        var channel = try GuestMessageChannel(vmpck: 0, secrets: guest.secrets)
        let data = (0..<64).map { UInt8($0 * 3 + 1) }
        let page = try channel.seal(.reportRequest, ReportRequestMessage(reportData: data).encoded)
        let answer = try guest.exchange(page)
        func holds(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
            bytes.indices.dropLast(part.count - 1).contains { Array(bytes[$0..<($0 + part.count)]) == part }
        }
        let part = Array(guest.guest.digest.prefix(8))
        #expect(!holds(page, Array(data.prefix(8))) && !holds(answer, part))
        #expect(holds(try channel.open(answer), part))
    }

    @Test("the guest's keys are its own: its pages' bytes as the host sees them are not what the guest reads")
    func secrets() throws {
        let guest = try Self.guest()
        let machine = guest.guest.machine
        let gfn = try #require(BundledImage.sections.first { $0.kind == .secrets }?.gpa.frame)
        let slot = try #require(machine.memorySlots.first { $0.frames.contains(gfn) })
        let pfn = try #require(machine.backingFrame(of: gfn, in: slot))
        let seen = try guest.guest.emulated.host.read(pfn.address, count: 4096)
        #expect(SecretsPage(decoding: seen).vmpck != guest.secrets.vmpck)
        #expect(guest.secrets.version == 3 && Set(guest.secrets.vmpck).count == 4)
    }

    @Test("the host refuses what is no request, in order")
    func refusals() throws {
        let guest = try Self.guest()
        let machine = guest.guest.machine
        let outside = GPA(0x4000_0000)
        let cases: [(GPA, GPA, Errno)] = [
            (GPA(0x1001), GPA(0x2000), .invalidArgument), (GPA(0x1000), GPA(0x2010), .invalidArgument),
            (GPA(0x1000), GPA(0x1000), .invalidArgument), (outside, GPA(0x2000), .ioError),
        ]
        for (request, response, errno) in cases {
            #expect(throws: SEVCommandError(errno), "\(request) \(response)") {
                try machine.snpGuestRequest(request, response: response)
            }
        }
        #expect(throws: SEVCommandError(.ioError, .invalidParam)) {
            try machine.snpGuestRequest(GPA(0x1000), response: GPA(0x2000))
        }
        let fresh = try VirtualMachine(host: guest.guest.emulated.host)
        #expect(throws: SEVCommandError(.invalidArgument)) {
            try fresh.snpGuestRequest(GPA(0x1000), response: GPA(0x2000))
        }
        fresh.destroy()
        #expect(throws: SEVCommandError(.ioError)) { try fresh.snpGuestRequest(GPA(0x1000), response: GPA(0x2000)) }
        #expect(guest.guest.emulated.host.leaked.count == 0 && Self.violations(guest).isEmpty)
    }

    @Test("the page for answers that does not come back at the machine's end is leaked, not used again")
    func leak() throws {
        let guest = try Self.guest()
        let host = guest.guest.emulated.host
        let rmp = guest.guest.emulated.machine.rmp
        let frames = (PFN(0)..<rmp.tableFrames[0].lowerBound).filter { rmp.state(of: $0) == .firmware }
        let answer = try #require(frames.first)
        #expect(frames.count == 1)
        rmp.injection.set { instruction, pfn in
            instruction == .rmpUpdate && pfn == answer ? .failPermission : nil
        }
        guest.guest.machine.destroy()
        rmp.injection.set(nil)
        #expect(host.leaked.count == 1 && !host.allocator.isFree(answer))
        #expect(host.checkInvariants(of: []) == [])
    }
}
