// Walks free memory through every page state: 2 MiB and 4 KiB, there and back, and looks at the contents each time.

import Hardware

let notValidated: UInt64 = 1 << 31 | 29 << 16 | 0x404

func guestMain() {
    _ = Session.open()
    let large = (boot.freeStart + 0x1f_ffff) & ~0x1f_ffff
    guard large + 3 * PageSize.size2M.byteCount <= min(boot.memorySize, boot.mappedEnd) else {
        fail("convert needs 6 MiB of free memory above a 2 MiB boundary")
    }
    acceptLarge(large)
    shareLarge(large)
    reclaimLarge(large)
    shareInside(large)
    convertList(large + PageSize.size2M.byteCount)
    batch(large + 2 * PageSize.size2M.byteCount)
    Console.writeLine("convert: done")
}

/// A pattern that tells one quadword from another.
func pattern(_ address: UInt64, _ salt: UInt64) -> UInt64 { (address ^ salt) &* 0x9e37_79b9_7f4a_7c15 }

func fill(_ address: UInt64, _ count: UInt64, _ salt: UInt64) {
    for word in stride(from: address, to: address + count, by: 64) { store64(word, pattern(word, salt)) }
}

func holds(_ address: UInt64, _ count: UInt64, _ salt: UInt64) -> Bool {
    for word in stride(from: address, to: address + count, by: 64) where load64(word) != pattern(word, salt) {
        return false
    }
    return true
}

func acceptLarge(_ page: UInt64) {
    Check.that(PageStates.change(page, 1, .makePrivate, .size2M), "2M: the host makes a page private")
    var value: UInt8 = 0
    Check.equal(UInt64(probe_read(page, &value)), notValidated, "2M: reading it before PVALIDATE is #VC 404")
    let status = pvalidate(page, 1, 1)
    Console.write("  the host's page is of ")
    Console.writeLine(status == PageStates.sizeMismatch ? "4 KiB" : "2 MiB")
    if status == PageStates.sizeMismatch {
        Check.that(PageStates.validate(page, 512, .size4K, true), "2M: PVALIDATE accepts it as 512 pages")
    } else {
        Check.equal(UInt64(status), 0, "2M: PVALIDATE accepts it whole")
    }
    fill(page, PageSize.size2M.byteCount, 1)
    Check.that(holds(page, PageSize.size2M.byteCount, 1), "2M: private memory holds what is written")
}

func shareLarge(_ page: UInt64) {
    Check.that(PageStates.share(page, 1, .size2M), "2M: the page becomes shared")
    fill(page, PageSize.size2M.byteCount, 2)
    Check.that(holds(page, PageSize.size2M.byteCount, 2), "2M: shared memory holds what is written")
}

func reclaimLarge(_ page: UInt64) {
    Check.that(PageStates.change(page, 1, .makePrivate, .size2M), "2M: the host takes the shared page back")
    PageStates.map(page, 1, .size2M, isPrivate: true)
    var value: UInt8 = 0
    Check.equal(UInt64(probe_read(page + 0x1_2345, &value)), notValidated, "2M: a converted page is not validated")
    Check.that(PageStates.validate(page, 1, .size2M, true), "2M: PVALIDATE accepts it again")
    Check.that(!holds(page, 4096, 2), "2M: what was shared cannot be read as private")
    fill(page, PageSize.size2M.byteCount, 3)
}

/// One page in the middle of 2 MiB: its neighbours keep their contents.
func shareInside(_ large: UInt64) {
    let page = large + 0x7_8000
    Check.that(PageStates.share(page, 1, .size4K), "4K: a page inside 2 MiB becomes shared")
    fill(page, 4096, 4)
    Check.that(holds(page, 4096, 4), "4K: it holds what is written")
    Check.that(holds(large, page - large, 3), "4K: the pages before it keep their contents")
    let rest = page + 4096
    Check.that(holds(rest, large + PageSize.size2M.byteCount - rest, 3), "4K: the pages after it keep their contents")
    Check.that(PageStates.unshare(page, 1, .size4K), "4K: it becomes private again")
    fill(page, 4096, 3)
    Check.that(holds(large, PageSize.size2M.byteCount, 3), "4K: the 2 MiB are whole")
}

/// Every other page of 32 becomes shared, so that states alternate from page to page.
func convertList(_ start: UInt64) {
    Check.that(PageStates.accept(start, 32, .size4K), "4K: 32 pages are accepted")
    fill(start, 32 * 4096, 5)
    var isDone = true
    for index in stride(from: 0, to: UInt64(32), by: 2) where !PageStates.share(start + index * 4096, 1, .size4K) {
        isDone = false
    }
    Check.that(isDone, "4K: every other page becomes shared")
    for index in stride(from: 0, to: UInt64(32), by: 2) { fill(start + index * 4096, 4096, 6) }
    var areRight = true
    for index in 0..<32 as Range<UInt64> where !holds(start + index * 4096, 4096, index % 2 == 0 ? 6 : 5) {
        areRight = false
    }
    Check.that(areRight, "4K: private and shared neighbours keep their contents")
    Console.write("shared page at 0x", hexadecimal: start)
    Console.write(" starts with 0x", hexadecimal: pattern(start, 6))
    Console.writeLine()
}

/// As many entries as one request holds, and some more.
func batch(_ start: UInt64) {
    let count: UInt64 = 300
    Check.that(PageStates.accept(start, count, .size4K), "4K: 300 pages are accepted in two requests")
    fill(start, count * 4096, 7)
    Check.that(PageStates.share(start, count, .size4K), "4K: 300 pages become shared")
    Check.that(PageStates.unshare(start, count, .size4K), "4K: 300 pages become private again")
    fill(start, count * 4096, 8)
    Check.that(holds(start, count * 4096, 8), "4K: all of them hold what is written")
}
