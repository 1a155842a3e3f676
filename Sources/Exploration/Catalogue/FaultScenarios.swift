// Faults of virtual CPUs while user space converts the pages that they touch.

internal import Hypervisor
internal import SNPArchitecture

extension Scenario {
    static let faultScenarios: [Scenario] = explorablePolicies.flatMap { name, policy in
        [
            Scenario("fault-convert-\(name)", "a page becomes shared while a virtual CPU touches it", in: .conversion) {
                world in
                let guest = try world.addGuest(pages: 8, policy: policy)
                try guest.allocate(0..<1)
                try guest.convert(0..<1, to: .private)
                guest.touch([0])
                world.thread("VMM") { try guest.convert(0..<1, to: .shared) }
                world.thread("vCPU 0") { guest.touch([0], asPrivate: true) }
            },
            Scenario(
                "fault-toggle-\(name)", "a page becomes shared and private again while two virtual CPUs touch it",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 8, policy: policy)
                try guest.allocate(0..<2)
                try guest.convert(0..<2, to: .private)
                world.thread("VMM") {
                    try guest.convert(0..<1, to: .shared)
                    try guest.convert(0..<1, to: .private)
                }
                world.thread("vCPU 0") { guest.touch([0, 1]) }
                world.thread("vCPU 1") { guest.touch([0]) }
            },
            Scenario(
                "fault-2m-\(name)", "a 2 MiB page becomes shared while a virtual CPU touches two parts of it",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                guest.touch([0])
                world.thread("VMM") { try guest.convert(0..<512, to: .shared) }
                world.thread("vCPU 0") { guest.touch([0, 300]) }
            },
            Scenario(
                "fault-smash-\(name)", "part of a mapped 2 MiB page becomes shared while virtual CPUs touch it",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                guest.touch([0])
                world.thread("VMM") { try guest.convert(100..<102, to: .shared) }
                world.thread("vCPU 0") { guest.touch([0, 101]) }
                world.thread("vCPU 1") { guest.touch([500]) }
            },
            Scenario(
                "rmp-fault-smash-\(name)", "two virtual CPUs and a conversion split one 2 MiB entry", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                guest.touch([0])
                world.thread("VMM") { try guest.convert(100..<101, to: .shared) }
                world.thread("vCPU 0") { guest.touch([0], rmpBit: true) }
                world.thread("vCPU 1") { guest.touch([100], rmpBit: true) }
            },
            Scenario(
                "unbacked-fault-\(name)", "two virtual CPUs touch a private page that nothing backs yet",
                in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 8, folioOrder: 2, policy: policy)
                try guest.convert(0..<8, to: .private)
                world.thread("VMM") { try guest.convert(2..<3, to: .shared) }
                world.thread("vCPU 0") { guest.touch([1, 2]) }
                world.thread("vCPU 1") { guest.touch([2, 5]) }
            },
            Scenario(
                "rmp-fault-exit-\(name)", "a fault that goes to the VMM leaves the RMP alone", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: policy)
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                guest.touch([0])
                world.thread("vCPU 0") {
                    var error: PageFaultError = [.user, .finalAddress]
                    error.formUnion([.present, .rmp])
                    let outcome = guest.vm.handleNestedPageFault(guest.gfn(7).address, error)
                    if case .memoryFault = outcome {} else { world.fail("a shared access to a private page resumes") }
                }
                world.atEnd {
                    world.expect(guest.entry(7)?.pageSize == .size2M, "a fault that went to the VMM split a 2 MiB page")
                }
            },
        ]
    }
}
