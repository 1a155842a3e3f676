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
    for identifier in 1..<max(count, 1) { areas = startProcessor(identifier, previous: areas) }
    waitFor(count - 1)
    Check.equal(load64(arrivedAddress), count - 1, "processors that have counted")
    Check.equal(load64(counterAddress), (count - 1) * Board.roundsPerProcessor, "the atomic counter")
    while areas != 0 { areas = stopProcessor(areas) }
    Console.writeLine("smp: done")
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
