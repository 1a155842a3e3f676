// Conversions against each other, and against what else user space and guests do.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension Scenario {
    static let conversionScenarios: [Scenario] =
        explorablePolicies.map { name, policy in
            Scenario(
                "two-machines-\(name)", "small pages of two machines in one 2 MiB of host memory are converted",
                in: .conversion
            ) { world in
                let first = try world.addGuest(pages: 4, policy: policy)
                let second = try world.addGuest(pages: 4, policy: policy)
                for guest in [first, second] { try guest.allocate(0..<2) }
                try first.convert(0..<1, to: .private)
                world.thread("VMM 0") {
                    try first.convert(0..<1, to: .shared)
                    try first.punchHole(0..<1)
                }
                world.thread("VMM 1") { try second.convert(0..<2, to: .private) }
                world.thread("vCPU 1") { second.touch([0]) }
            }
        } + [
            Scenario("two-converters", "two threads convert ranges that overlap", in: .conversion) { world in
                let guest = try world.addGuest(pages: 16, folioOrder: 3)
                try guest.allocate(0..<16)
                world.thread("VMM 0") {
                    try guest.convert(0..<10, to: .private)
                    try guest.convert(5..<6, to: .shared)
                }
                world.thread("VMM 1") { try guest.convert(4..<16, to: .private) }
                world.thread("vCPU 0") { guest.touch([5, 9]) }
            },
            Scenario(
                "opposite-converters", "two threads convert one page in opposite directions", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 4)
                try guest.allocate(0..<2)
                world.thread("VMM 0") { try guest.convert(0..<2, to: .private) }
                world.thread("VMM 1") { try guest.convert(1..<2, to: .shared) }
                world.thread("vCPU 0") { guest.touch([1]) }
            },
            Scenario(
                "guest-data", "what a guest stores in pages that stay private is what it reads", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9)
                try guest.allocate(0..<512)
                try guest.vm.snpLaunchStart(policy: .standard)
                try guest.convert(0..<512, to: .private)
                guest.touch([0])
                try guest.validate(0, .size2M)
                world.thread("VMM") { try guest.convert(100..<102, to: .shared) }
                world.thread("vCPU 0") {
                    guard let access = guest.vm.makeGuestAccess() else { return world.fail("the guest has no key") }
                    let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
                    let gpa = guest.gfn(5).address
                    _ = try guest.run { try access.store(bytes, at: gpa, .private) }
                    let read = try guest.run { try access.bytes(gpa, count: 8, .private) }
                    world.expect(read == bytes, "page 5 reads \(read ?? []), not what was stored")
                }
            },
            Scenario(
                "pvalidate-convert", "a guest validates a page while it becomes shared", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 4)
                try guest.allocate(0..<1)
                try guest.vm.snpLaunchStart(policy: .standard)
                try guest.convert(0..<1, to: .private)
                guest.touch([0])
                world.thread("VMM") { try guest.convert(0..<1, to: .shared) }
                world.thread("vCPU 0") { try? guest.validate(0, .size4K) }
                world.atEnd {
                    world.expect(guest.entry(0)?.validated != true, "a shared page is validated")
                }
            },
            Scenario("prefault-convert", "pages are mapped in advance while some become shared", in: .conversion) {
                world in
                let guest = try world.addGuest(pages: 512, folioOrder: 9, policy: LazyPolicy())
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                world.thread("VMM") { try guest.convert(3..<4, to: .shared) }
                world.thread("vCPU 0") { _ = try guest.vm.populateMappings(guest.base.address, byteCount: 8 << 12) }
            },
            Scenario(
                "uniform-2m", "a private 2 MiB page beside a shared one is mapped whole", in: .conversion
            ) { world in
                let guest = try world.addGuest(pages: 1024, folioOrder: 9, policy: LazyPolicy())
                try guest.allocate(0..<512)
                try guest.convert(0..<512, to: .private)
                world.thread("vCPU 0") { guest.touch([9]) }
                world.atEnd {
                    let level = guest.vm.nested.mapping(of: guest.gfn(9))?.level
                    world.expect(
                        level == .level2M, "a private 2 MiB page is mapped \(level.map { "\($0)" } ?? "not at all")")
                }
            },
        ]
}

extension Guest {
    /// PVALIDATE of a mapped page, by the guest; nothing if it is not mapped.
    ///
    /// - Throws: what the instruction refuses with
    func validate(_ page: UInt64, _ size: PageSize) throws {
        guard let mapping = vm.nested.mapping(of: gfn(page)), let asid = vm.asid else { return }
        _ = try vm.host.machine.rmp.pvalidate(
            GuestPage(gpa: gfn(page).address, pfn: mapping.pfn, level: mapping.level), size: size, validate: true,
            asid: asid, vmpl: .vmpl0)
    }
}
