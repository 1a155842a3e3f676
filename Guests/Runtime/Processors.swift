// Starting other virtual CPUs with a VMSA of the guest's own making, and stopping them again.

import Hardware

/// Makes a VMSA and has the host run it. Pages of processors form a list: the first page has its VMSA's address and
/// identifier, and where the next one is.
func startProcessor(_ identifier: UInt64, previous: UInt64) -> UInt64 {
    let area = Pages.allocate()
    let stack = Pages.allocate()
    let vmsa = Pages.allocate()
    // Shared here already: only one processor changes the page tables.
    let ghcb = Pages.allocateShared()
    store64(area, previous)
    store64(area + 8, identifier)
    store64(area + 16, vmsa)
    store64(area + 24, ghcb)
    VMSA(address: vmsa).fill(stack: stack + 4096, argument: area)
    // Permissions of VMPL1 do not matter; bit 16 makes the page a VMSA.
    Check.equal(UInt64(rmpadjust(vmsa, 0, 1 | 1 << 16)), 0, "RMPADJUST makes a VMSA")
    let answer = createProcessor(identifier, vmsa, request: 1)
    Check.that(answer.isDone, "the host takes it")
    return area
}

/// Has the host stop a processor, and makes its VMSA an ordinary page again.
func stopProcessor(_ area: UInt64) -> UInt64 {
    let vmsa = load64(area + 16)
    Check.that(createProcessor(load64(area + 8), vmsa, request: 2).isDone, "the host stops a processor")
    var status = rmpadjust(vmsa, 0, 1)
    var patience = 100_000
    while status == 3 && patience > 0 {
        pause_processor()
        patience -= 1
        status = rmpadjust(vmsa, 0, 1)
    }
    Check.equal(UInt64(status), 0, "RMPADJUST takes the VMSA back")
    return load64(area)
}

private func createProcessor(_ identifier: UInt64, _ vmsa: UInt64, request: UInt64) -> GHCBResult {
    Console.flush()
    guard let ghcb = GHCB.current else { return GHCBResult(action: 2, info2: 0) }
    ghcb.begin()
    ghcb.set(.rax, sev_status() >> 2)
    return ghcb.call(ExitCode.createProcessor, identifier << 32 | request, vmsa)
}
