// Every row of Spec/ghcb-psc.tsv: the progress through the buffer alone, and through a GHCB in memory.

import SNPArchitecture
import Testing

@testable import Hypervisor

/// One row.
struct PageStateChangeRow {
    var cells: [String]
    var header: PageStateChangeHeader
    var entries: [PageStateChangeEntry]
    var replies: [UserReply]
    var calls: [String]

    init?(_ cells: [String]) {
        guard cells.count == 9 else { return nil }
        self.cells = cells
        let parts = cells[1].split(separator: ":")
        let bounds = parts[0].split(separator: "-").compactMap { UInt16($0) }
        guard bounds.count == 2 else { return nil }
        header = PageStateChangeHeader(currentEntry: bounds[0], endEntry: bounds[1])
        if parts.count > 1 { header.rawValue |= 1 << 40 }
        entries = cells[2].split(separator: " ").compactMap { text in
            let parts = text.split(separator: ":").map(String.init)
            let operations: [String: UInt8] = ["private": 1, "shared": 2]
            guard parts.count >= 4, let gfn = UInt64(parts[0], radix: 16),
                let operation = operations[parts[1]] ?? UInt8(parts[1]), let done = UInt16(parts[3])
            else { return nil }
            var entry = PageStateChangeEntry(
                GFN(gfn), PageStateOperation(rawValue: operation), parts[2] == "2M" ? .size2M : .size4K)
            entry.currentPage = done
            if parts.count > 4 { entry.rawValue |= 1 << 63 }
            return entry
        }
        replies = cells[3].split(separator: " ").compactMap { number($0).map(UserReply.result) }
        calls = cells[4].split(separator: " ").filter { $0 != "-" }.map { "map(\($0))" }
    }

    /// Result, current entry and pages done, as one host sees it.
    func outcome(_ host: GHCBPersonality) -> String {
        host.checksReservedBits && cells[8] != "=" ? cells[8] : "\(cells[5])/\(cells[6])/\(cells[7])"
    }

    /// What user space sees, as one host has it.
    func calls(_ host: GHCBPersonality) -> [String] {
        guard host.checksReservedBits, cells[8] != "=" else { return calls }
        return cells[8].hasPrefix("invalidEntry/1") ? calls : []
    }

    var bytes: [UInt8] {
        ([header.rawValue] + entries.map(\.rawValue)).flatMap { value in
            (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
    }
}

extension PageStateChangeResult {
    var tableName: String {
        switch self {
        case .processed: "processed"
        case .invalidHeader: "invalidHeader"
        case .invalidEntry: "invalidEntry"
        case .genericError: "genericError"
        default: hex(rawValue)
        }
    }
}

@Suite("Page state change, by the table")
struct PageStateChangeTableTests {
    static let rows = (try? specTable("ghcb-psc.tsv")) ?? []

    @Test("each buffer is processed as the table says", arguments: rows.indices)
    func row(_ index: Int) throws {
        let row = try #require(PageStateChangeRow(Self.rows[index]), "\(Self.rows[index])")
        for host in GHCBPersonality.all {
            let fixture = try GHCBFixture(host)
            var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
            page.store(row.bytes)
            let before = fixture.guest.state
            let steps = fixture.trace(fixture.send(page), row.replies)
            #expect(steps == row.calls(host), "\(row.cells[0]), \(host.name)")
            #expect(fixture.outcome(row) == row.outcome(host), "\(row.cells[0]), \(host.name)")
            #expect(fixture.page[.exitInfo1] == 0, "a refusal here is no malformed input")
            #expect(fixture.guest.state == before, "the host itself changes no page")
            SpecCoverage.hit("ghcb-psc.tsv", Self.rows[index], accepted: true)
        }
    }

    @Test("the table has rows for every result, and names hosts that differ")
    func coverage() {
        #expect(Self.rows.count > 30)
        #expect(Set(Self.rows.map { $0[5] }) == ["processed", "invalidHeader", "invalidEntry", "genericError"])
        #expect(Self.rows.filter { $0[8] != "=" }.count >= 4)
    }

    @Test("capacity follows from where the buffer begins", arguments: [0x800, 0x808, 0xfd8, 0xfe0, 0xfe8])
    func capacity(_ offset: Int) throws {
        let capacity = (0xff0 - offset) / 8 - 1
        for end in [capacity - 1, capacity] {
            let fixture = try GHCBFixture()
            var page = GHCBFixture.page(
                .pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + UInt64(offset)])
            // Everything before the last entry counts as done.
            let header = PageStateChangeHeader(
                currentEntry: UInt16(max(0, end)), endEntry: UInt16(truncatingIfNeeded: end))
            page.store((0..<8).map { UInt8(truncatingIfNeeded: header.rawValue >> UInt64(8 * $0)) }, at: offset)
            if end >= 0, end < capacity {
                let entry = PageStateChangeEntry(fixture.base + 9, .makePrivate).rawValue
                page.store(
                    (0..<8).map { UInt8(truncatingIfNeeded: entry >> UInt64(8 * $0)) }, at: offset + 8 * (end + 1))
            }
            let steps = fixture.trace(fixture.send(page))
            if end >= 0, end < capacity {
                #expect(steps == ["map(\(fixture.base + 9)+1,private,4K)"])
                #expect(fixture.page[.exitInfo2] == 0)
            } else {
                #expect(steps.isEmpty)
                #expect(PageStateChangeResult(rawValue: fixture.page[.exitInfo2]) == .invalidHeader)
            }
            #expect(
                Array(fixture.page.bytes[0xff0...]) == Array(page.bytes[0xff0...]), "nothing past the buffer changes")
        }
    }

    @Test("253 entries, the most there can be, convert in one call when they follow each other")
    func full() throws {
        let fixture = try GHCBFixture()
        var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
        let header = PageStateChangeHeader(currentEntry: 0, endEntry: 252)
        let entries = (0..<253).map { PageStateChangeEntry(fixture.base + 16 + UInt64($0), .makePrivate) }
        page.store(
            ([header.rawValue] + entries.map(\.rawValue)).flatMap { value in
                (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
            })
        #expect(fixture.trace(fixture.send(page)) == ["map(\(fixture.base + 16)+253,private,4K)"])
        let found = fixture.page
        #expect(found.bytes[0x800] == 253 && found.bytes[0x802] == 252)
        #expect((0..<253).allSatisfy { found.bytes[0x808 + 8 * $0] == 1 })
    }

    @Test("user space that does not take the call makes every request fail before its buffer is read")
    func withoutUserSpace() throws {
        let fixture = try GHCBFixture(convertsOnRequest: false)
        var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
        page.store([0, 0, 0xff, 0xff])
        #expect(fixture.trace(fixture.send(page)).isEmpty)
        #expect(PageStateChangeResult(rawValue: fixture.page[.exitInfo2]) == .genericError)
        let unmarked = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: 0])
        _ = fixture.send(unmarked)
        #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 3, "but where it lies is checked first")
    }

    @Test("a reply that user space may not give fails the run, and the guest's buffer says nothing is done")
    func undefinedReply() throws {
        for host in GHCBPersonality.all {
            for reply in [5, 1, UInt64(bitPattern: -22), .max] {
                let fixture = try GHCBFixture(host)
                var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
                page.store(try #require(PageStateChangeRow(Self.rows[0])).bytes)
                let steps = fixture.trace(fixture.send(page), [.result(reply)])
                #expect(fixture.page.bytes[0x800] == 0 && fixture.page.bytes[0x808] == 0)
                if host.checksHypercallResult {
                    #expect(steps.last == "fail(EINVAL)")
                } else {
                    #expect(PageStateChangeResult(rawValue: fixture.page[.exitInfo2]) == .genericError)
                }
            }
        }
    }
}

extension GHCBFixture {
    /// Result, current entry and pages done of a row's entries, as the page has them.
    func outcome(_ row: PageStateChangeRow) -> String {
        let page = self.page
        func quadword(_ offset: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(page.bytes[0x800 + offset + $1]) << UInt64(8 * $1) }
        }
        let header = PageStateChangeHeader(rawValue: quadword(0))
        let pages = row.entries.indices.map {
            String(PageStateChangeEntry(rawValue: quadword(8 + 8 * $0)).currentPage)
        }
        let result = PageStateChangeResult(rawValue: page[.exitInfo2]).tableName
        return "\(result)/\(header.currentEntry)/\(pages.joined(separator: " "))"
    }
}
