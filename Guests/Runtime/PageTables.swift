// The loader's identity map, which the guest changes: the C-bit of a page, and tables of 4 KiB pages where it needs them.

import Hardware

enum PageTables {
    private static let present: UInt64 = 1
    private static let largePage: UInt64 = 1 << 7
    private static let addressMask: UInt64 = 0x000f_ffff_ffff_f000
    nonisolated(unsafe) private static var usedTables: UInt64 = 0

    private static func target(_ entry: UInt64) -> UInt64 { entry & addressMask & ~boot.cBit }

    /// Sets or clears the C-bit of 4 KiB pages.
    static func map(_ address: UInt64, _ pageCount: UInt64, isPrivate: Bool) {
        for index in 0..<pageCount {
            let page = address + index << 12
            let entry = directoryEntry(page)
            if load64(entry) & largePage != 0 { split(entry) }
            set(target(load64(entry)) + (page >> 12 & 511) * 8, isPrivate)
            invalidate_page(page)
        }
    }

    /// Sets or clears the C-bit of the 2 MiB at an address, whichever way it is mapped.
    static func mapLarge(_ address: UInt64, isPrivate: Bool) {
        let entry = directoryEntry(address)
        guard load64(entry) & largePage != 0 else { return map(address, 512, isPrivate: isPrivate) }
        set(entry, isPrivate)
        invalidate_page(address)
    }

    private static func set(_ entry: UInt64, _ isPrivate: Bool) {
        let value = load64(entry)
        store64(entry, isPrivate ? value | boot.cBit : value & ~boot.cBit)
    }

    private static func directoryEntry(_ address: UInt64) -> UInt64 {
        let directoryPointers = target(load64(boot.pageTableRoot + (address >> 39 & 511) * 8))
        let directory = target(load64(directoryPointers + (address >> 30 & 511) * 8))
        return directory + (address >> 21 & 511) * 8
    }

    /// Replaces a page of 2 MiB by a table of 512 pages with the same rights.
    private static func split(_ entry: UInt64) {
        let table = nextTable()
        let large = load64(entry)
        let rights = large & ~(addressMask | largePage) | large & boot.cBit
        let start = target(large)
        for index in 0..<512 as Range<UInt64> { store64(table + index * 8, start + index << 12 | rights) }
        store64(entry, table | boot.cBit | rights)
        invalidate_page(start)
    }

    private static func nextTable() -> UInt64 {
        let table = table_pool() + usedTables << 12
        guard table < table_pool_end() else { fail("the tables of 4 KiB pages are used up") }
        usedTables += 1
        return table
    }
}
