// Every row of Spec/ghcb-nae.tsv with every host: the answer, and each required field left out.

import SNPArchitecture
import Synchronization
import Testing

@testable import Hypervisor

/// One row.
struct EventRow: Sendable {
    var cells: [String]
    var page: GHCBPage
    /// Required by KVM, and by the strict host.
    var required: [GHCBField]
    var requiredByStrict: [GHCBField]

    static let names: [String: GHCBField] = [
        "cpl": .cpl, "xss": .xss, "rax": .rax, "rcx": .rcx, "rdx": .rdx, "rbx": .rbx, "scratch": .scratch,
        "xcr0": .xcr0,
    ]

    init?(_ cells: [String], ghcb: UInt64) {
        guard cells.count == 10, let code = number(cells[1]), let info1 = number(cells[2]),
            let info2 = number(cells[3])
        else { return nil }
        self.cells = cells
        page = GHCBFixture.page(ExitCode(code), info1, info2)
        var buffer: [UInt64] = []
        for input in cells[4].split(separator: " ") where input != "-" {
            let parts = input.split(separator: "=")
            guard parts.count == 2 else { return nil }
            if parts[0] == "buffer" {
                buffer = parts[1].split(separator: ",").compactMap { number($0) }
            } else if let field = Self.names[String(parts[0])] {
                guard
                    let value = parts[1].hasPrefix("@")
                        ? number(parts[1].dropFirst()).map({ $0 + ghcb }) : number(parts[1])
                else { return nil }
                page.set(field, value)
            } else {
                return nil
            }
        }
        if !buffer.isEmpty {
            page.store(
                buffer.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } },
                at: Int(page[.scratch] - ghcb))
        }
        func fields(_ cell: String) -> [GHCBField] {
            cell.split(separator: " ").compactMap { Self.names[String($0)] }
        }
        required = fields(cells[5])
        requiredByStrict = cells[6] == "=" ? required : fields(cells[6])
    }

    func required(by host: GHCBPersonality) -> [GHCBField] { host.requiresXSS ? requiredByStrict : required }
}

@Suite("GHCB events, by the table")
struct EventTableTests {
    static let rows = (try? specTable("ghcb-nae.tsv")) ?? []
    static let ghcb: UInt64 = 0x100_3000

    private func row(_ index: Int) throws -> EventRow {
        try #require(EventRow(Self.rows[index], ghcb: Self.ghcb), "\(Self.rows[index])")
    }

    @Test("each event is answered as each host's column says", arguments: rows.indices)
    func answer(_ index: Int) throws {
        let row = try row(index)
        for (column, host) in GHCBPersonality.all.enumerated() {
            let fixture = try GHCBFixture(host, on: GHCBFixture.sharedHost)
            try #require(fixture.ghcb.rawValue == Self.ghcb)
            let before = fixture.guest.state
            SpecCoverage.hit("ghcb-nae.tsv", Self.rows[index], accepted: true)
            var steps = fixture.trace(fixture.send(row.page))
            var expected = row.cells[7 + column].split(separator: " > ").map(String.init)
            let last = try #require(expected.last)
            let label: Comment = "\(row.cells[0]), \(host.name)"
            if last.hasPrefix("fail") || last.hasPrefix("terminated") || last.hasPrefix("unexpected") {
                #expect(steps == expected, label)
                continue
            }
            expected.removeLast()
            #expect(steps == expected, label)
            steps.removeAll()
            try check(last.split(separator: " ").map(String.init), row, fixture, label)
            #expect(fixture.guest.state == before, "\(label): the host itself changes no page")
        }
    }

    /// Checks what the guest finds.
    private func check(_ tokens: [String], _ row: EventRow, _ fixture: GHCBFixture, _ label: Comment) throws {
        let page = fixture.page
        for field in [.exitInfo1, .exitInfo2] as [GHCBField] { #expect(page.value(field) != nil, label) }
        #expect(page.value(.exitCode) == nil && page.value(.scratch) == nil, "\(label): the bitmap is the host's now")
        switch tokens[0] {
        case "ok":
            #expect(page[.exitInfo1] == 0, label)
            if !tokens.contains(where: { $0.hasPrefix("info2") }) { #expect(page[.exitInfo2] == 0, label) }
        case "gp":
            #expect(page[.exitInfo1] == 1, label)
            #expect(page[.exitInfo2] == 0x8000_030d, label)
        default:
            #expect(page[.exitInfo1] == 2, label)
            #expect("malformed=\(page[.exitInfo2])" == tokens[0], label)
        }
        if fixture.vm.personality.returnsAllRegisters {
            for field in [.rax, .rbx, .rcx, .rdx] as [GHCBField] { #expect(page.value(field) != nil, label) }
        }
        var vmsa: String?
        for token in tokens.dropFirst() {
            let parts = token.split(separator: "=").map(String.init)
            switch parts[0] {
            case "info2": #expect(page[.exitInfo2] == number(parts[1]), label)
            case "inject": #expect(fixture.cpu.eventInjection.rawValue == number(parts[1]), label)
            case "vmsa": vmsa = parts[1]
            case "scratch":
                let start = Int(row.page[.scratch] - Self.ghcb)
                let found = page.bytes[start..<start + parts[1].count / 2]
                #expect(found.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == parts[1], label)
            default:
                let field = try #require(EventRow.names[parts[0]], "\(token)")
                #expect(page.value(field).map(hex) == number(parts[1]).map(hex), "\(label): \(parts[0])")
            }
        }
        checkVMSA(vmsa ?? "same", fixture, label)
    }

    private func checkVMSA(_ expected: String, _ fixture: GHCBFixture, _ label: Comment) {
        let requests = fixture.other.requests.withLock { $0 }
        let found: String =
            switch (requests.newVMSA, requests.vmsaAtInit) {
            case (nil, nil): "same"
            case (.some(.none), _): "none"
            case (.some(.some(let gfn)), _): "\(gfn)"
            case (_, .some(let gfn)): "at-init:\(gfn.map { "\($0)" } ?? "none")"
            }
        #expect(found == expected, label)
    }

    @Test("without a field that it needs, an event is malformed=4 and nothing is done", arguments: rows.indices)
    func missing(_ index: Int) throws {
        let row = try row(index)
        for host in GHCBPersonality.all {
            let isUnknown = row.cells[7].hasPrefix("malformed=6")
            for field in row.required(by: host) + [.exitCode, .exitInfo1, .exitInfo2] {
                let fixture = try GHCBFixture(host, on: GHCBFixture.sharedHost)
                var page = row.page
                page.validBitmap.remove(field)
                #expect(fixture.trace(fixture.send(page)).isEmpty, "\(row.cells[0]) without \(field)")
                #expect(fixture.page[.exitInfo1] == 2, "\(row.cells[0]) without \(field), \(host.name)")
                #expect(fixture.page[.exitInfo2] == 4, "\(row.cells[0]) without \(field), \(host.name)")
                checkVMSA("same", fixture, "\(row.cells[0]) without \(field)")
                #expect(fixture.cpu.state == .runnable)
            }
            // What is not required may be missing.
            let optional = [.rax, .rbx, .rcx, .rdx, .cpl, .scratch, .xcr0, .xss].filter { field in
                row.page.value(field) != nil && !row.required(by: host).contains(field)
            }
            for field in optional where !isUnknown {
                let fixture = try GHCBFixture(host, on: GHCBFixture.sharedHost)
                var page = row.page
                page.validBitmap.remove(field)
                _ = fixture.trace(fixture.send(page))
                let found = fixture.page
                #expect(!(found[.exitInfo1] == 2 && found[.exitInfo2] == 4), "\(row.cells[0]) without \(field)")
            }
        }
    }

    @Test("the page's own rules come before the event's, in their order", arguments: rows.indices)
    func pageRules(_ index: Int) throws {
        let row = try row(index)
        for host in GHCBPersonality.all {
            func answer(_ change: (GHCBFixture, inout GHCBPage) -> Void) throws -> String {
                let fixture = try GHCBFixture(host, on: GHCBFixture.sharedHost)
                var page = row.page
                change(fixture, &page)
                let steps = fixture.trace(fixture.send(page))
                return steps.isEmpty ? "\(fixture.page[.exitInfo1]) \(fixture.page[.exitInfo2])" : steps.joined()
            }
            let label: Comment = "\(row.cells[0]), \(host.name)"
            #expect(try answer { _, page in page.usage = 1 } == "2 2", label)
            #expect(
                try answer { _, page in
                    page.usage = 0x8000_0000
                    page.validBitmap = GHCBValidBitmap()
                } == "2 2", label)
            let unregistered = try answer { fixture, page in
                fixture.cpu.ghcbState.registered = fixture.base + 4
                page.usage = 1
            }
            #expect(unregistered == (host.unregisteredPage == .run ? "fail(EINVAL)" : "2 1"), label)
            if host.checksVersion {
                #expect(try answer { _, page in page.protocolVersion = 3 } == "2 2", label)
                #expect(try answer { _, page in page.protocolVersion = 0 } == "2 2", label)
            }
        }
    }

    @Test(
        "the table covers every event that has a name and only a GHCB carries, and every host answers each alike once marked"
    )
    func coverage() {
        let codes = Set(Self.rows.compactMap { number($0[1]) })
        for (code, name) in ExitCode.named where code.rawValue >> 31 == 1 && code.rawValue >> 32 == 0 {
            #expect(codes.contains(code.rawValue), "\(name)")
        }
        for code in [0x27, 0x37, 0x6e, 0x6f, 0x72, 0x76, 0x7b, 0x7c, 0x81, 0x87, 0x89, 0x8a, 0x8b] as [UInt64] {
            #expect(codes.contains(code))
        }
        #expect(Self.rows.count > 90)
    }

    @Test("events of SNP guests are unknown to another kind of machine, before any field is looked at")
    func otherMachines() throws {
        for code in [.pageStateChange, .guestRequest, .extendedGuestRequest, .apCreation] as [ExitCode] {
            let fixture = try GHCBFixture(kind: .standard)
            var page = GHCBFixture.page(code)
            page.validBitmap = GHCBValidBitmap()
            #expect(fixture.trace(fixture.send(page)).isEmpty)
            #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 6, "\(code)")
        }
        let fixture = try GHCBFixture(kind: .standard)
        fixture.cpu.ghcbState.registered = nil
        #expect(fixture.trace(fixture.send(GHCBFixture.page(.hypervisorFeatures))).isEmpty)
        #expect(fixture.page[.exitInfo1] == 0 && fixture.page[.exitInfo2] == 3, "and they need no registration")
    }
}
