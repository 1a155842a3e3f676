// The same calls on real threads: no schedule is chosen, but nothing may break, and all must come back.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Synchronization
import Testing

@testable import Hypervisor

@Suite("Conversions on real threads")
struct FreeThreadTests {
    @Test("Two machines, two VMMs and two virtual CPUs each", arguments: ["eager", "lazy"])
    func free(name: String) throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 32 << 20))
        let free = emulated.host.allocator.freeFrameCount
        let guests: [TestGuest] = try ([9, 0] as [UInt8]).map { order in
            let policy: any ConversionPolicy = name == "eager" ? EagerPolicy() : LazyPolicy()
            return try TestGuest(pages: 1024, folioOrder: order, policy: policy, on: emulated)
        }
        let notes = Notes()
        var bodies: [@Sendable () -> Void] = []
        for guest in guests {
            for thread in 0..<2 as Range<UInt64> {
                bodies.append {
                    var entropy = EntropySource(seed: thread)
                    for round in 0..<40 {
                        let low = UInt64.random(in: 0..<1000, using: &entropy)
                        let pages = low..<min(low + UInt64.random(in: 1..<600, using: &entropy), 1024)
                        if round % 8 == 7 {
                            do { try guest.punchHole(pages) } catch { notes.add("punch \(error)") }
                        } else if let failure = guest.convertFailure(pages, to: round % 3 == 0 ? .shared : .private) {
                            notes.add("convert \(failure)")
                        }
                    }
                }
                bodies.append {
                    var entropy = EntropySource(seed: thread + 100)
                    for round in 0..<150 {
                        let page = UInt64.random(in: 0..<1024, using: &entropy)
                        let isPrivate = guest.vm.attribute(of: guest.base + page) == .private
                        switch guest.fault(page, isPrivate: isPrivate, rmpBit: isPrivate && round % 4 == 0) {
                        case .resume, .memoryFault(_, _, _, .badAddress): break
                        case let other: notes.add("\(other)")
                        }
                    }
                }
            }
        }
        FreeThreads.run(bodies)
        #expect(notes.all == [])
        #expect(emulated.host.checkInvariants(of: guests.map(\.vm)) == [])
        for guest in guests { guest.vm.destroy() }
        #expect(emulated.host.checkInvariants(of: []) == [])
        #expect(emulated.host.leaked.count == 0)
        // What the slots' user memory holds is the VMM's still.
        #expect(emulated.host.allocator.freeFrameCount <= free)
        #expect(emulated.machine.rmp.assignedPageCount(of: ASID(1)) == 0)
    }

    /// What the threads did not expect.
    private final class Notes: Sendable {
        private let texts = Mutex<[String]>([])
        func add(_ text: String) { texts.withLock { $0.append(text) } }
        var all: [String] { texts.withLock { $0 } }
    }
}
