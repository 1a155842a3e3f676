// Conversions and faults while the RMP refuses or memory runs out.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension Scenario {
    static let refusalScenarios: [Scenario] =
        explorablePolicies.flatMap { name, policy in
            [
                Scenario(
                    "psmash-in-use-\(name)", "PSMASH finds another processor at work and is tried again",
                    in: .conversion
                ) { world in
                    let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                    try guest.allocate(0..<512)
                    try guest.convert(0..<512, to: .private)
                    guest.touch([0])
                    world.refuse(.psmash, calls: 1...3, with: .failInUse)
                    world.thread("VMM") { try guest.convert(100..<101, to: .shared) }
                    world.thread("vCPU 0") { guest.touch([5], rmpBit: true) }
                    world.atEnd {
                        world.expect(!guest.isPrivate(100), "page 100 is not shared after a conversion that succeeded")
                        world.expect(
                            guest.entry(5)?.pageSize != .size2M || guest.entry(5)?.assigned != true,
                            "the RMP entry that a fault was about is still 2 MiB")
                    }
                },
                Scenario(
                    "rmpupdate-contended-\(name)", "RMPUPDATE finds other processors at work and is tried again",
                    in: .conversion
                ) { world in
                    let guest = try world.addGuest(pages: 4, policy: policy)
                    try guest.allocate(0..<2)
                    world.refuse(.rmpUpdate, calls: 1...4, with: .failOverlap)
                    world.thread("VMM") {
                        try guest.convert(0..<2, to: .private)
                        try guest.convert(1..<2, to: .shared)
                    }
                    world.thread("vCPU 0") { guest.touch([0, 1]) }
                },
                Scenario(
                    "fault-refused-\(name)", "the RMP refuses a page for good while virtual CPUs fault", in: .conversion
                ) { world in
                    let guest = try world.addGuest(pages: 4, policy: policy)
                    try guest.convert(0..<2, to: .private)
                    world.refuse(.rmpUpdate, with: .failPermission)
                    world.thread("VMM") { guest.convert(1..<2, to: .shared, allowing: [.invalidArgument]) }
                    world.thread("vCPU 0") { guest.touch([0], allowing: [.invalidArgument]) }
                    world.thread("vCPU 1") { guest.touch([1], allowing: [.invalidArgument]) }
                },
            ]
        } + [
            Scenario(
                "rollback", "a conversion to private is refused in the middle and taken back while faults come",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<8)
                let stubborn = guest.pfn(2)
                world.refuse(.rmpUpdate, with: .failPermission) { $0 == stubborn }
                world.thread("VMM") { guest.convert(0..<4, to: .private, allowing: [.invalidArgument]) }
                world.thread("vCPU 0") { guest.touch([0, 2]) }
                world.atEnd {
                    world.expect(!guest.isPrivate(0), "page 0 is private after a conversion that failed")
                    world.expect(world.host.leaked.count == 0, "a rollback leaks")
                }
            },
            Scenario(
                "partial-share", "a conversion to shared is refused in the middle: attributes say how far it came",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<8)
                try guest.convert(0..<4, to: .private)
                let stubborn = guest.pfn(2)
                world.refuse(.rmpUpdate, with: .failInUse) { $0 == stubborn }
                world.thread("VMM") { guest.convert(0..<4, to: .shared, allowing: [.invalidArgument]) }
                world.thread("vCPU 0") { guest.touch([1, 2]) }
                world.atEnd {
                    world.expect(!guest.isPrivate(1) && guest.isPrivate(2), "attributes do not say how far it came")
                }
            },
            Scenario("no-memory-fault", "faults find no memory while pages are converted", in: .conversion) { world in
                let guest = try world.addGuest(pages: 8)
                try guest.allocate(0..<1)
                try guest.convert(0..<4, to: .private)
                guest.touch([0])
                world.exhaustMemory(leaving: 1)
                world.thread("VMM") { guest.convert(0..<1, to: .shared, allowing: [.noMemory]) }
                world.thread("vCPU 0") { guest.touch([1, 2], allowing: [.noMemory]) }
                world.thread("vCPU 1") { guest.touch([0], allowing: [.noMemory]) }
            },
            Scenario(
                "no-memory-split", "there is no frame to split the host's mapping with: nothing changes",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9)
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                world.exhaustMemory(leaving: 0)
                world.thread("VMM") { guest.convert(7..<8, to: .shared, allowing: [.noMemory]) }
                world.thread("vCPU 0") { guest.touch([7], allowing: [.noMemory]) }
                world.atEnd {
                    world.expect(guest.isPrivate(7), "a conversion that failed changed the attribute")
                    world.expect(guest.entry(7)?.pageSize == .size2M, "a conversion that failed split the RMP entry")
                }
            },
        ]
}
