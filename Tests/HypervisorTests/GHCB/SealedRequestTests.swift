// A sealed request from a launched guest's GHCB to firmware and back: the answer opens, and the sequence moves on.

import Machine
import Monitor
import Rampart
import SNPArchitecture
import ScriptedGuest
import Testing

@testable import Hypervisor

@Suite("Sealed requests by GHCB")
struct SealedRequestTests {
    @Test(
        "a report comes back through either event; the same message again is refused by firmware and answers the guest",
        arguments: [ExitCode.guestRequest, .extendedGuestRequest])
    func report(_ code: ExitCode) throws {
        let plan = try LaunchPlan(
            image: BundledImage.image,
            configuration: LaunchConfiguration(signature: CPUSignature(rawValue: Product.genoa.signature)))
        let guest = try AttestedGuest(plan)
        let machine = guest.guest.machine
        let cpu = try #require(machine.virtualCPU(0))
        let free = machine.attributeRuns(in: GFN(1)..<plan.lowMemoryEnd.frame).filter { $0.attribute == .shared }
            .flatMap { $0.range.prefix(4) }
        try #require(free.count >= 4)
        let (ghcb, request, response, table) = (free[0], free[1].address, free[2].address, free[3].address)
        cpu.ghcbState.registered = ghcb
        func ask(_ message: [UInt8]) throws -> GuestRequestResult {
            try machine.writeShared(message, at: request)
            let fields: [GHCBField: UInt64] = [.rax: table.rawValue, .rbx: 1]
            let page = GHCBFixture.page(code, request.rawValue, response.rawValue, fields)
            try machine.writeShared(page.bytes, at: ghcb.address)
            cpu.ghcb = ghcb.address.rawValue
            guard case .resume = cpu.handleVMGEXIT(of: machine) else { throw Errno.ioError }
            let found = try #require(GHCBPage(try machine.readShared(ghcb.address, count: 4096)))
            #expect(found[.exitInfo1] == 0)
            return GuestRequestResult(rawValue: found[.exitInfo2])
        }
        // A launched guest finds its own CPUID table in the host's answers.
        cpu.ghcb = GHCBMSRRequest.cpuid(function: 0x8000_001f, register: .ebx).rawValue
        _ = cpu.handleVMGEXIT(of: machine)
        #expect(GHCBMSRResponse(rawValue: cpu.ghcb) == .cpuid(51 | 1 << 6 | 4 << 12, .ebx))
        var channel = try GuestMessageChannel(vmpck: 0, secrets: guest.secrets)
        for round in 1...3 as ClosedRange<UInt8> {
            let data = [UInt8](repeating: round, count: 64)
            let message = try channel.seal(.reportRequest, ReportRequestMessage(reportData: data, vmpl: 0).encoded)
            #expect(try ask(message) == GuestRequestResult())
            let answer = try channel.open(try machine.readShared(response, count: 4096))
            let report = try AttestationReport(decoding: try ReportResponseMessage(decoding: answer).report)
            #expect(report.reportData == data && report.measurement == guest.guest.digest)
            #expect(try ask(message) == GuestRequestResult(firmware: .aeadOverflow), "the same message again")
        }
    }
}
