// Rules of the RMP: what PVALIDATE, RMPADJUST and plain accesses answer to a guest that does not keep them.

import Hardware

/// #VC with error code 404, as a probe returns it.
let notValidated: UInt64 = 1 << 31 | 29 << 16 | 0x404

func breakPageRules() {
    Case.survived("double-validate") {
        let page = Pages.allocate()
        Check.equal(UInt64(pvalidate(page, 0, 1)), 0x100, "PVALIDATE of a validated page sets CF")
        Check.equal(UInt64(pvalidate(page, 0, 0)), 0, "PVALIDATE rescinds")
        Check.equal(UInt64(pvalidate(page, 0, 0)), 0x100, "rescinding twice sets CF")
    }
    Case.survived("touch-unvalidated") {
        let page = unvalidatedPage()
        var value: UInt8 = 0
        Check.equal(UInt64(probe_read(page, &value)), notValidated, "reading a page that is not validated is #VC 404")
        Check.equal(UInt64(probe_write(page, 1)), notValidated, "writing it is, too")
    }
    Case.survived("validate-unaligned") {
        let page = Pages.allocate()
        Check.equal(UInt64(pvalidate(page, 1, 1)), 1, "PVALIDATE of 2 MiB at a page inside is FAIL_INPUT")
    }
    Case.survived("validate-wrong-size") {
        let page = nextLargePage()
        // One shared page among them, so that no host can have an entry of 2 MiB for the rest.
        let isGiven = PageStates.change(page, 1, .makePrivate, .size2M)
        let isMixed = PageStates.change(page + 4096, 1, .makeShared, .size4K)
        Check.that(isGiven && isMixed, "the host gives 2 MiB and takes back a page of them")
        Check.equal(UInt64(pvalidate(page, 1, 1)), 6, "PVALIDATE of 2 MiB is FAIL_SIZEMISMATCH")
    }
    Case.survived("adjust-own-vmpl") {
        let page = Pages.allocate()
        Check.equal(UInt64(rmpadjust(page, 0, 0xf << 8)), 2, "RMPADJUST of VMPL0 by VMPL0 is FAIL_PERMISSION")
    }
    Case.survived("adjust-unaligned") {
        let page = Pages.allocate()
        Check.equal(UInt64(rmpadjust(page, 1, 1)), 1, "RMPADJUST of 2 MiB at a page inside is FAIL_INPUT")
    }
    Case.survived("adjust-unvalidated") {
        let page = unvalidatedPage()
        Check.equal(UInt64(rmpadjust(page, 0, 1)), notValidated, "RMPADJUST of a page that is not validated is #VC 404")
    }
}

/// A private page that the guest has not validated.
func unvalidatedPage() -> UInt64 {
    let page = Pages.allocate()
    guard PageStates.validate(page, 1, .size4K, false) else { fail("PVALIDATE does not rescind") }
    return page
}

/// Free memory at a boundary of 2 MiB, away from the pages that are handed out one by one.
func nextLargePage() -> UInt64 {
    let page = (boot.freeStart + 0x3f_ffff) & ~0x1f_ffff
    guard page + 0x20_0000 <= min(boot.memorySize, boot.mappedEnd) else {
        fail("the memory is too small for this case")
    }
    return page
}
