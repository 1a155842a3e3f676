// The page table as the hypervisor uses it.

import Machine
import SNPArchitecture
import Testing

@Suite("Page table")
struct PageTableTests {
    @Test("A mapping is found at every frame of its page, at each level", arguments: PageLevel.allCases)
    func mapAndLookup(level: PageLevel) throws {
        let table = try TableFixture().makeTable()
        let frame = level.pageCount * 3
        try table.map(frame, to: PFN(level.pageCount * 7), level: level, flags: [.writable, .noExecute])
        for offset in [0, level.pageCount / 2, level.pageCount - 1] {
            let expected = PageMapping(
                pfn: PFN(level.pageCount * 7 + offset), level: level, flags: [.writable, .noExecute])
            #expect(table.lookup(frame + offset) == expected)
        }
        #expect(table.lookup(frame - 1) == nil)
        #expect(table.lookup(frame + level.pageCount) == nil)
        #expect(table.lookup(.max) == nil)
    }

    @Test("Refusals: out of range, misaligned, occupied by larger or smaller pages, out of table pages")
    func refusals() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        #expect(throws: PageTableError.outOfRange) { try table.map(1 << 36, to: PFN(0), level: .level4K, flags: []) }
        #expect(throws: PageTableError.misaligned) { try table.map(511, to: PFN(0), level: .level2M, flags: []) }
        #expect(throws: PageTableError.misaligned) { try table.map(512, to: PFN(1), level: .level2M, flags: []) }
        try table.map(512, to: PFN(512), level: .level2M, flags: [])
        #expect(throws: PageTableError.occupied(.level2M)) {
            try table.map(513, to: PFN(0), level: .level4K, flags: [])
        }
        try table.map(1024, to: PFN(9), level: .level4K, flags: [])
        #expect(throws: PageTableError.occupied(.level4K)) {
            try table.map(1024, to: PFN(0), level: .level2M, flags: [])
        }
        fixture.pages.left = 0
        #expect(throws: PageTableError.outOfTablePages) { try table.map(4096, to: PFN(0), level: .level4K, flags: []) }
        #expect(table.lookup(4096) == nil)
        #expect(throws: PageTableError.outOfTablePages) { try PageTable(memory: fixture.memory, pages: fixture.pages) }
    }

    @Test("A range is mapped with the largest pages that both alignments and both ends allow")
    func mapRangeSizes() throws {
        let table = try TableFixture().makeTable()
        let gigabyte = PageLevel.level1G.pageCount
        // From two 4K pages before a 2M boundary, over one 1G page, to three 4K pages past another.
        let start = gigabyte - 514
        let range = start..<(2 * gigabyte + 512 + 3)
        try table.mapRange(range, to: PFN(start), flags: .guest)
        #expect(table.lookup(start)?.level == .level4K)
        #expect(table.lookup(start + 1)?.level == .level4K)
        #expect(table.lookup(start + 2)?.level == .level2M)
        #expect(table.lookup(gigabyte)?.level == .level1G)
        #expect(table.lookup(2 * gigabyte)?.level == .level2M)
        #expect(table.lookup(2 * gigabyte + 512)?.level == .level4K)
        #expect(table.lookup(range.upperBound) == nil)
        for frame in [start, start + 300, gigabyte + 77, range.upperBound - 1] {
            #expect(table.lookup(frame)?.pfn == PFN(frame))
        }
        #expect(table.zap(range) == 2 + 1 + 1 + 1 + 3)

        // The page frames are off by one: nothing larger than 4K fits.
        try table.mapRange(512..<1024, to: PFN(1), flags: .guest)
        #expect(table.lookup(700) == PageMapping(pfn: PFN(189), level: .level4K, flags: .guest))
        #expect(table.zap(0..<PageTable.frameCount) == 512)
        try table.mapRange(0..<1024, to: PFN(0), flags: .guest, largest: .level4K)
        #expect(table.zap(0..<PageTable.frameCount) == 1024)
    }

    @Test("A leaf larger than the zapped range goes whole, or is split when the range is exact")
    func zapLargeLeaf() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        try table.map(512, to: PFN(512), level: .level2M, flags: .guest)
        #expect(table.zap(600..<601) == 1)
        #expect(table.lookup(512) == nil)

        try table.map(0, to: PFN(0), level: .level1G, flags: .guest)
        #expect(try table.zapExactly(600..<1500) == 424 + 476)
        #expect(table.lookup(599) == PageMapping(pfn: PFN(599), level: .level4K, flags: .guest))
        #expect(table.lookup(600) == nil)
        #expect(table.lookup(1499) == nil)
        #expect(table.lookup(1500) == PageMapping(pfn: PFN(1500), level: .level4K, flags: .guest))
        #expect(table.lookup(0)?.level == .level2M)

        fixture.pages.left = 0
        #expect(throws: PageTableError.outOfTablePages) { try table.zapExactly(5000..<5001) }
        #expect(table.lookup(5000)?.pfn == PFN(5000))
    }

    @Test("Split and collapse keep every translation; collapse needs 512 aligned neighbours with equal flags")
    func splitAndCollapse() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        try table.map(0, to: PFN(0), level: .level1G, flags: .guest)
        try table.split(700, to: .level4K)
        #expect(table.lookup(700) == PageMapping(pfn: PFN(700), level: .level4K, flags: .guest))
        #expect(table.lookup(1024) == PageMapping(pfn: PFN(1024), level: .level2M, flags: .guest))
        #expect(!table.collapse(700, to: .level1G))
        #expect(table.collapse(700, to: .level2M))
        #expect(table.collapse(700, to: .level1G))
        #expect(table.lookup(700) == PageMapping(pfn: PFN(700), level: .level1G, flags: .guest))
        #expect(fixture.pages.out.count == 2)

        try table.split(700, to: .level4K)
        try table.map(701, to: PFN(701), level: .level4K, flags: .user)
        #expect(!table.collapse(700, to: .level2M))
        try table.map(701, to: PFN(702), level: .level4K, flags: .guest)
        #expect(!table.collapse(700, to: .level2M))
        try table.map(701, to: PFN(701), level: .level4K, flags: [.writable, .user, .accessed, .dirty])
        #expect(table.collapse(700, to: .level2M))
        #expect(table.lookup(512)?.flags == [.writable, .user, .accessed, .dirty])

        try table.mapRange(1 << 20..<1 << 20 + 512, to: PFN(256), flags: .guest)
        #expect(!table.collapse(1 << 20, to: .level2M), "512 neighbours from an unaligned frame")
    }

    @Test("A 2M page may replace a table that has become empty; the table's frame comes back")
    func emptyTableIsReplaced() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        try table.map(5, to: PFN(5), level: .level4K, flags: .guest)
        let before = fixture.pages.out.count
        table.zap(0..<512)
        #expect(fixture.pages.out.count == before)
        try table.map(0, to: PFN(0), level: .level2M, flags: .guest)
        #expect(fixture.pages.out.count == before - 1)
        #expect(table.lookup(5)?.level == .level2M)
    }

    @Test("Prepared tables let a later mapping succeed without a page to be had")
    func prepare() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        try table.prepareTables(for: 100..<2000, level: .level4K)
        fixture.pages.left = 0
        try table.mapRange(100..<2000, to: PFN(101), flags: .guest)
        #expect(table.lookup(1999)?.pfn == PFN(2000))
    }

    @Test("Destroying a table gives every frame back")
    func destroy() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        for index in 0..<40 as Range<UInt64> {
            try table.map(index << 27 | 3, to: PFN(1), level: .level4K, flags: .guest)
        }
        #expect(fixture.pages.out.count == 1 + 40 * 3)
        table.destroy()
        #expect(fixture.pages.out.isEmpty)
        #expect(table.tablePageCount == 0)
    }

    @Test("One TiB in 2M pages is mapped and zapped, and costs one table for each GiB")
    func oneTebibyte() throws {
        let fixture = try TableFixture()
        let table = try fixture.makeTable()
        let frames: Range<UInt64> = 0..<(1 << 28)
        try table.mapRange(frames, to: PFN(0), flags: .guest, largest: .level2M)
        #expect(table.tablePageCount == 1 + 2 + 1024)
        #expect(table.lookup(1 << 28 - 1)?.pfn == PFN(1 << 28 - 1))
        #expect(table.zap(frames, freeingTables: true) == 524_288)
        #expect(table.tablePageCount == 1)
        #expect(fixture.pages.out.count == 1)
    }
}

@Suite("Direct map")
struct DirectMapTests {
    @Test("Unmapping splits and takes only the frames named; restoring makes the large pages again")
    func unmapAndRestore() throws {
        let fixture = try TableFixture()
        let map = try DirectMapTable(memory: fixture.memory, pages: fixture.pages, frames: PFN(0)..<PFN(1 << 19))
        let untouched = fixture.pages.out.count
        #expect(map.level(of: PFN(700)) == .level1G)
        #expect(try map.unmap(PFN(700)..<PFN(1600)) == 324 + 1 + 64)
        #expect(map.level(of: PFN(699)) == .level4K)
        #expect(map.level(of: PFN(700)) == nil)
        #expect(map.level(of: PFN(1599)) == nil)
        #expect(map.level(of: PFN(1600)) == .level4K)
        #expect(map.level(of: PFN(2048)) == .level2M)
        try map.restore(PFN(700)..<PFN(1000))
        #expect(map.level(of: PFN(999)) == .level4K)
        #expect(map.level(of: PFN(1000)) == nil)
        try map.restore(PFN(1000)..<PFN(1600))
        #expect(map.level(of: PFN(700)) == .level1G)
        #expect(fixture.pages.out.count == untouched)
    }

    @Test("A split 2M page serves every frame and can be collapsed; other regions stay large")
    func split() throws {
        let fixture = try TableFixture()
        let map = try DirectMapTable(memory: fixture.memory, pages: fixture.pages, frames: PFN(0)..<PFN(1 << 18))
        try map.split(PFN(1000), to: .level4K)
        #expect(map.level(of: PFN(512)) == .level4K)
        #expect(map.level(of: PFN(1024)) == .level2M)
        #expect(map.table.lookup(1023)?.pfn == PFN(1023))
        #expect(map.collapse(PFN(512), to: .level2M))
        #expect(map.level(of: PFN(512)) == .level2M)
    }
}
