// Starts every other virtual CPU with a VMSA of the guest's own making, has all of them count, and stops them again.

import Hardware

enum Board {
    static let roundsPerProcessor: UInt64 = 1000
}

/// What a processor counts on: addresses that do not depend on where Swift keeps its variables.
var counterAddress: UInt64 { scratch_page() }
var arrivedAddress: UInt64 { scratch_page() + 64 }

func guestMain() {
    let session = Session.open()
    guard session.features & Session.processorCreationFeature != 0 else { fail("the host creates no processors") }
    let count = UInt64(boot.virtualCPUCount)
    Console.write("smp: ", decimal: count)
    Console.writeLine(" virtual CPUs")
    var areas: UInt64 = 0
    for identifier in 1..<max(count, 1) { areas = start(identifier, previous: areas) }
    waitFor(count - 1)
    Check.equal(load64(arrivedAddress), count - 1, "processors that have counted")
    Check.equal(load64(counterAddress), (count - 1) * Board.roundsPerProcessor, "the atomic counter")
    while areas != 0 { areas = stop(areas) }
    Console.writeLine("smp: done")
}

/// Makes a VMSA and has the host run it. Pages of processors form a list: the first page has its VMSA's address and
/// identifier, and where the next one is.
func start(_ identifier: UInt64, previous: UInt64) -> UInt64 {
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
    let answer = create(identifier, vmsa, request: 1)
    Check.that(answer.isDone, "the host takes it")
    return area
}

/// Has the host stop a processor, and makes its VMSA an ordinary page again.
func stop(_ area: UInt64) -> UInt64 {
    let vmsa = load64(area + 16)
    Check.that(create(load64(area + 8), vmsa, request: 2).isDone, "the host stops a processor")
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

func create(_ identifier: UInt64, _ vmsa: UInt64, request: UInt64) -> GHCBResult {
    Console.flush()
    guard let ghcb = GHCB.current else { return GHCBResult(action: 2, info2: 0) }
    ghcb.begin()
    ghcb.set(.rax, sev_status() >> 2)
    return ghcb.call(ExitCode.createProcessor, identifier << 32 | request, vmsa)
}

func waitFor(_ count: UInt64) {
    var patience = 10_000_000
    while load64(arrivedAddress) < count && patience > 0 {
        pause_processor()
        patience -= 1
    }
}

/// What every other processor does.
@_cdecl("application_start")
func applicationStart(_ area: UInt64) {
    Exceptions.load()
    _ = GHCB.adopt(load64(area + 24))
    for _ in 0..<Board.roundsPerProcessor { _ = add_atomically(counterAddress, 1) }
    _ = add_atomically(arrivedAddress, 1)
    while true { halt() }
}
