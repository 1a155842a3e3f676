// Every row of Spec/ghcb-msr.tsv with every host.

import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("GHCB MSR protocol, by the table")
struct MSRProtocolTableTests {
    static let rows = (try? specTable("ghcb-msr.tsv")) ?? []

    @Test("each request is answered as each host's column says", arguments: rows.indices)
    func row(_ index: Int) throws {
        let cells = Self.rows[index]
        try #require(cells.count == 6, "\(cells)")
        let request = try #require(number(cells[1]))
        for (column, host) in GHCBPersonality.all.enumerated() {
            var replies: [UserReply] = []
            if cells[2].hasPrefix("reply="), let value = number(cells[2].dropFirst(6)) { replies = [.result(value)] }
            let fixture = try GHCBFixture(
                host, kind: cells[2] == "standard" ? .standard : .snp, convertsOnRequest: cells[2] != "no-exits")
            let before = fixture.guest.state
            var steps = fixture.trace(fixture.send(msr: request), replies)
            let ends = steps.last.map { $0.hasPrefix("fail") || $0.hasPrefix("terminated") } ?? false
            if !ends { steps.append(fixture.cpu.ghcb == request ? "same" : hex(fixture.cpu.ghcb)) }
            let expected = cells[3 + column].split(separator: " > ").map { step in
                step.hasPrefix("0x") ? hex(number(step) ?? 0) : String(step)
            }
            #expect(steps == expected, "\(cells[0]), \(cells[2]), \(host.name)")
            #expect(fixture.guest.state == before, "\(cells[0]): the host itself changes no page")
            SpecCoverage.hit("ghcb-msr.tsv", cells, accepted: true)
        }
    }

    @Test("the table has rows, and one for each named request")
    func coverage() {
        #expect(Self.rows.count > 30)
        let codes = Set(Self.rows.compactMap { number($0[1]).map { GHCBMSRCode(of: $0).rawValue } })
        #expect(codes.isSuperset(of: [0, 2, 4, 6, 0x10, 0x12, 0x14, 0x16, 0x80, 0x100]))
    }

    @Test("registration decides which page is answered, and 0 takes it back")
    func registration() throws {
        for host in GHCBPersonality.all {
            let fixture = try GHCBFixture(host)
            let page = GHCBFixture.page(.hypervisorFeatures)
            _ = fixture.send(page)
            #expect(fixture.page[.exitInfo2] == 3)
            _ = fixture.send(msr: GHCBMSRRequest.registerGHCB(fixture.base + 4).rawValue)
            let steps = fixture.trace(fixture.send(page))
            if host.unregisteredPage == .run {
                #expect(steps == ["fail(EINVAL)"])
                #expect(fixture.page == page, "nothing is written")
            } else {
                #expect(steps.isEmpty)
                #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 1)
            }
            _ = fixture.send(msr: GHCBMSRRequest.registerGHCB(fixture.base + 3).rawValue)
            _ = fixture.send(page)
            #expect(fixture.page[.exitInfo1] == 0 && fixture.page[.exitInfo2] == 3)
            _ = fixture.send(msr: GHCBMSRRequest.registerGHCB(GFN(0)).rawValue)
            _ = fixture.send(page)
            #expect(fixture.page[.exitInfo2] != 3)
        }
    }

    @Test("a hold that no SIPI ends says so")
    func otherWake() throws {
        let fixture = try GHCBFixture()
        _ = fixture.send(msr: 0x006)
        #expect(fixture.cpu.state == .apResetHold && fixture.cpu.ghcb == 0x007)
        fixture.cpu.setState(.runnable)
        #expect(!fixture.cpu.serveRequests(of: fixture.vm) && fixture.cpu.state == .runnable)
        _ = fixture.resume(.none)
        #expect(fixture.cpu.ghcb == 0x007)
        _ = fixture.send(msr: 0x006)
        fixture.cpu.deliverSIPI()
        #expect(!fixture.cpu.serveRequests(of: fixture.vm) && fixture.cpu.state == .runnable)
        _ = fixture.resume(.none)
        #expect(fixture.cpu.ghcb == 0x1007)
    }
}

/// 0x and the digits that a number needs.
func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
