// Backing memory that goes away, and slots that come and go, while faults and conversions are under way.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension Scenario {
    static let memoryScenarios: [Scenario] =
        explorablePolicies.flatMap { name, policy in
            [
                Scenario(
                    "punch-fault-\(name)", "part of a 2 MiB page is given back while virtual CPUs touch it", in: .memory
                ) { world in
                    let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                    try guest.allocate(0..<512)
                    try guest.convert(0..<512, to: .private)
                    guest.touch([0])
                    world.thread("VMM") { try guest.punchHole(100..<102) }
                    world.thread("vCPU 0") { guest.touch([0, 101]) }
                },
                Scenario(
                    "punch-convert-\(name)", "pages are given back while they are converted and touched", in: .memory
                ) { world in
                    let guest = try world.addGuest(pages: 8, folioOrder: 2, policy: policy)
                    try guest.allocate(0..<8)
                    try guest.convert(0..<4, to: .private)
                    world.thread("VMM 0") { try guest.punchHole(0..<8) }
                    world.thread("VMM 1") { try guest.convert(2..<6, to: .private) }
                    world.thread("vCPU 0") { guest.touch([3]) }
                },
                Scenario(
                    "destroy-\(name)", "a machine is destroyed under its threads: every frame comes back", in: .memory
                ) { world in
                    let free = world.host.allocator.freeFrameCount
                    let guest = try world.addGuest(pages: 8, policy: policy)
                    try guest.allocate(0..<4)
                    try guest.convert(0..<4, to: .private)
                    world.checksInvariants = false
                    world.thread("VMM 0") { guest.vm.destroy() }
                    world.thread("VMM 1") { guest.convert(1..<2, to: .shared, allowing: [.ioError]) }
                    world.thread("vCPU 0") { guest.touch([0, 1], allowing: [.ioError]) }
                    world.atEnd {
                        guest.user.discard(0..<8)
                        let found = world.host.allocator.freeFrameCount
                        world.expect(found == free, "\(found) frames are free at the end, \(free) were at the start")
                        for violation in world.host.checkInvariants(of: [], limit: 1) { world.fail("\(violation)") }
                    }
                },
                Scenario(
                    "psmash-fails-\(name)", "a 2 MiB page cannot be split when part of it is given back", in: .memory
                ) { world in
                    let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                    try guest.allocate(0..<512)
                    try guest.convert(0..<512, to: .private)
                    guest.touch([0])
                    world.refuse(.psmash, with: .failInUse)
                    world.thread("VMM") { try guest.punchHole(0..<1) }
                    world.thread("vCPU 0") { guest.touch([300], allowing: [.ioError]) }
                    world.atEnd {
                        world.expect(guest.vm.causeOfDeath != nil, "the machine lives on after it lost a page")
                        world.expect(world.host.leaked.count == 1, "\(world.host.leaked.count) frames leaked, not one")
                    }
                },
                Scenario(
                    "page-lost-\(name)", "the RMP does not give a 2 MiB page back: it leaks, and the machine dies",
                    in: .memory
                ) { world in
                    let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                    try guest.allocate(0..<512)
                    try guest.convert(0..<512, to: .private)
                    guest.touch([0])
                    world.refuse(.rmpUpdate, with: .failInUse)
                    world.thread("VMM") { try guest.punchHole(0..<512) }
                    world.thread("vCPU 0") { guest.touch([300], allowing: [.ioError, .invalidArgument, .noMemory]) }
                    world.atEnd {
                        world.expect(guest.vm.causeOfDeath != nil, "the machine lives on after it lost a page")
                    }
                },
            ]
        } + [
            Scenario("slot-delete", "a slot is deleted while virtual CPUs touch its pages", in: .memory) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<2)
                try guest.convert(0..<2, to: .private)
                world.thread("VMM") { try guest.deleteSlot() }
                world.thread("vCPU 0") { guest.touchAnything([0, 1, 4]) }
            },
            Scenario("slot-again", "a slot is deleted and made again while virtual CPUs touch its pages", in: .memory) {
                world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<2)
                try guest.convert(0..<2, to: .private)
                world.thread("VMM") {
                    try guest.deleteSlot()
                    try guest.addSlot()
                }
                world.thread("vCPU 0") { guest.touchAnything([0, 4]) }
            },
            Scenario("slot-punch", "a slot is deleted while its memory is given back", in: .memory) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<4)
                try guest.convert(0..<4, to: .private)
                world.thread("VMM 0") { try guest.deleteSlot() }
                world.thread("VMM 1") { try guest.punchHole(1..<3) }
                world.thread("vCPU 0") { guest.touchAnything([2]) }
            },
            Scenario("discard-fault", "shared memory is discarded while virtual CPUs touch it", in: .memory) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<1)
                guest.touch([0, 1])
                world.thread("VMM 0") { guest.user.discard(0..<2) }
                world.thread("VMM 1") { try guest.convert(0..<1, to: .private) }
                world.thread("vCPU 0") { guest.touch([0, 1]) }
            },
            Scenario("vmm-writes", "the VMM writes shared memory beside pages that become private", in: .memory) {
                world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<4)
                try guest.user.write([1, 2, 3, 4], at: 0)
                world.thread("VMM 0") { try guest.convert(0..<4, to: .private) }
                world.thread("VMM 1") { for _ in 0..<3 { try guest.user.write([5, 6, 7, 8], at: 0) } }
            },
            Scenario("allocate-fault", "memory is allocated while faults allocate it, too", in: .memory) { world in
                let guest = try world.addGuest(pages: 16, folioOrder: 3, policy: LazyPolicy())
                try guest.convert(0..<16, to: .private)
                world.thread("VMM") { try guest.allocate(0..<16) }
                world.thread("vCPU 0") { guest.touch([3, 9]) }
                world.thread("vCPU 1") { guest.touch([3]) }
            },
        ]
}

extension Guest {
    /// Touches pages that may have no slot.
    func touchAnything(_ pages: [UInt64]) {
        for page in pages { _ = fault(page, isPrivate: isPrivate(page)) }
    }
}
