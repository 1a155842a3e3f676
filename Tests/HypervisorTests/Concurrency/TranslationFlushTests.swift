// No processor may hold a translation of a frame that is given back, whichever call zapped it.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("TLB flushes under every schedule")
struct TranslationFlushTests {
    @Test("Two invalidations of one page: the second does not rely on the flush that the first has yet to make")
    func overlappingInvalidations() throws {
        try explore(TestScale.seeds(500)) { seed in
            let guest = try TestGuest(pages: 1024, dramByteCount: 16 << 20)
            try guest.vm.snpLaunchStart(policy: .standard)
            #expect(guest.fault(5, isPrivate: false) == .resume)
            let run = ExploredRun(seed: seed, [guest])
            let access = try #require(guest.vm.makeGuestAccess())
            let gfn = guest.base + 5
            let held = try access.translate(gfn.address, .read, .shared).pfn
            let tag = TranslationTag(asid: guest.vm.asid!, cBit: .shared, vmpl: .vmpl0, privilege: .supervisor)
            run.explorer.onSchedulePoint = { [explorer = run.explorer] _ in
                if guest.host.allocator.isFreeUnlocked(held), access.tlb.lookup(gfn, tag, .read) != nil {
                    explorer.fail("frame \(held) is free and a TLB holds it")
                }
            }
            run.explorer.spawn("VMM 0") { try guest.convert(5..<6, to: .private) }
            run.explorer.spawn("VMM 1") { guest.vm.memorySlots[0].userMemory.discard(5..<6) }
            return run
        }
    }
}
