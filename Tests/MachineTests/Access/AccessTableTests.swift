// Every row of the access table, and what the data looks like on each side.

import Machine
import SNPArchitecture
import Testing

@Suite("Access checks")
struct AccessTableTests {
    @Test("The table has its rows, each once, and every kind of result for each accessor")
    func tableIsWhole() {
        let rows = AccessRow.all
        #expect(rows.count > 150)
        #expect(Set(rows.map(\.id)).count == rows.count)
        let results = Set(rows.map { "\($0.accessor) \($0.expected.prefix { $0 != ":" })" })
        #expect(results == ["host ok", "host pf", "device ok", "device event", "guest ok", "guest npf", "guest vc"])
    }

    @Test("Row", arguments: AccessRow.all)
    func row(_ row: AccessRow) throws {
        let fixture = try AccessFixture(mapping: row.mapping, rmp: row.rmp, vmpl: row.vmpl, privilege: row.privilege)
        let before = fixture.base.memory.bytes(fixture.pfn.address, count: 4096)
        let result = fixture.perform(row)
        #expect(result == AccessResult.sorted(row.expected))
        SpecCoverage.hit("access-checks.tsv", row.fields, accepted: row.expected == "ok")
        if result != "ok" {
            #expect(
                fixture.base.memory.bytes(fixture.pfn.address, count: 4096) == before,
                "a refused access changes nothing")
        }
        #expect(fixture.perform(row) == result, "the same again, now with a warm TLB")
    }

    @Test("The guest reads its plaintext; host, devices and shared accesses see ciphertext")
    func privateDataIsEncrypted() throws {
        let fixture = try AccessFixture(mapping: "4K", rmp: "own-4k", vmpl: .vmpl0, privilege: .supervisor)
        let plaintext = AccessFixture.plaintext
        #expect(try fixture.guest.bytes(fixture.gpa, count: 16, .private) == plaintext)
        let seen = try fixture.host.bytes(fixture.pfn.address, count: 16)
        #expect(seen != plaintext)
        #expect(seen == fixture.device.bytes(fixture.pfn.address, count: 16))
        let other = ASID(9)
        let otherKey = fixture.base.memory.encryption.installKey([UInt8](repeating: 7, count: 16), for: other)
        #expect(fixture.base.memory.bytes(fixture.pfn.address, count: 16, key: otherKey) != plaintext)

        try fixture.guest.store([9, 8, 7], at: GPA(fixture.gpa.rawValue + 1), .private)
        #expect(try fixture.guest.bytes(fixture.gpa, count: 4, .private) == [plaintext[0], 9, 8, 7])
    }

    @Test("Shared data passes between guest, host and device in plain")
    func sharedDataIsPlain() throws {
        let fixture = try AccessFixture(mapping: "4K", rmp: "hypervisor", vmpl: .vmpl0, privilege: .supervisor)
        try fixture.guest.store([1, 2, 3], at: fixture.gpa, .shared)
        #expect(try fixture.host.bytes(fixture.pfn.address, count: 3) == [1, 2, 3])
        try fixture.host.store([4, 5], at: SPA(fixture.pfn.address.rawValue + 1))
        #expect(fixture.device.bytes(fixture.pfn.address, count: 3) == [1, 4, 5])
        try fixture.device.store([6], at: fixture.pfn.address)
        #expect(try fixture.guest.bytes(fixture.gpa, count: 3, .shared) == [6, 4, 5])
    }

    @Test("An access over a page boundary faults at the second page's address, after the first page's bytes")
    func crossingAccess() throws {
        let fixture = try AccessFixture(mapping: "4K", rmp: "hypervisor", vmpl: .vmpl0, privilege: .supervisor)
        let last = GPA(fixture.gpa.rawValue + 4094)
        let missing = GuestFault.nestedPageFault(
            gpa: GPA(fixture.gpa.rawValue + 4096), error: [.user, .write, .finalAddress])
        #expect(throws: missing) { try fixture.guest.store([1, 2, 3, 4], at: last, .shared) }
        #expect(try fixture.guest.bytes(last, count: 2, .shared) == [1, 2])
    }

    @Test("A guest address past 48 bits, and one that wraps, is a nested page fault")
    func absurdAddresses() throws {
        let fixture = try AccessFixture(mapping: "4K", rmp: "hypervisor", vmpl: .vmpl0, privilege: .supervisor)
        for address in [GPA(1 << 48), GPA(.max)] {
            #expect(throws: GuestFault.nestedPageFault(gpa: address, error: [.user, .finalAddress])) {
                try fixture.guest.bytes(address, count: 8, .shared)
            }
        }
        #expect(throws: HostPageFault(address: SPA(.max), error: [])) { try fixture.host.bytes(SPA(.max), count: 2) }
    }

    @Test("The walk marks accessed, and dirty on writes only")
    func accessedAndDirty() throws {
        let fixture = try AccessFixture(mapping: "2M", rmp: "hypervisor", vmpl: .vmpl0, privilege: .supervisor)
        let frame = fixture.gpa.frame.rawValue
        #expect(fixture.nested.lookup(frame)?.flags == .guest)
        _ = try fixture.guest.bytes(fixture.gpa, count: 1, .shared)
        #expect(fixture.nested.lookup(frame)?.flags == [.writable, .user, .accessed])
        try fixture.guest.store([1], at: fixture.gpa, .shared)
        #expect(fixture.nested.lookup(frame)?.flags == [.writable, .user, .accessed, .dirty])
    }

    @Test("A table or a page outside DRAM: the table reads as ones, the page as ones, and writes go nowhere")
    func outsideDRAM() throws {
        let fixture = try AccessFixture(mapping: "none", rmp: "hypervisor", vmpl: .vmpl0, privilege: .supervisor)
        try fixture.nested.map(7, to: PFN(1 << 30), level: .level4K, flags: .guest)
        let gpa = GPA(7 << 12)
        try fixture.guest.store([1], at: gpa, .shared)
        #expect(try fixture.guest.bytes(gpa, count: 2, .shared) == [0xff, 0xff])
        fixture.guest.context.nestedRoot = PFN(1 << 30)
        fixture.guest.tlb.flush()
        #expect(throws: GuestFault.nestedPageFault(gpa: gpa, error: [.present, .user, .reserved, .finalAddress])) {
            try fixture.guest.bytes(gpa, count: 1, .shared)
        }
    }

    @Test("An RMP instruction's page is found by the nested table alone")
    func resolve() throws {
        let fixture = try AccessFixture(mapping: "2M", rmp: "own-2m-unvalidated", vmpl: .vmpl0, privilege: .supervisor)
        let expected = GuestPage(gpa: fixture.gpa, pfn: fixture.pfn, level: .level2M)
        #expect(try fixture.guest.resolve(fixture.gpa) == expected)
        let missing = GPA(8 << 30)
        #expect(throws: GuestFault.nestedPageFault(gpa: missing, error: [.user, .encrypted, .finalAddress])) {
            try fixture.guest.resolve(missing)
        }
    }
}
