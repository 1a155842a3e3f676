// Launch calls against conversions, faults, virtual CPUs and each other, and firmware that refuses.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension Scenario {
    static let launchScenarios: [Scenario] =
        explorablePolicies.flatMap { name, policy in
            [
                Scenario(
                    "launch-convert-\(name)", "a page is launched while it becomes shared and is touched", in: .launch
                ) { world in
                    let guest = try world.launchingGuest(policy)
                    world.thread("VMM 0") { guest.launchAllowing(0, [.ioError, .invalidArgument]) }
                    world.thread("VMM 1") { guest.convert(0..<1, to: .shared, allowing: [.invalidArgument]) }
                    world.thread("vCPU 0") { guest.touch([0, 1], allowing: [.invalidArgument]) }
                },
                Scenario(
                    "launch-shared-\(name)", "LAUNCH_UPDATE refuses a page whose attribute is shared", in: .launch
                ) { world in
                    let guest = try world.launchingGuest(policy)
                    try guest.convert(1..<2, to: .shared)
                    world.thread("VMM") {
                        let error = guest.launchError(1)
                        world.expect(
                            error?.errno == .invalidArgument, "LAUNCH_UPDATE of a shared page: \(outcome(error))")
                    }
                },
                Scenario(
                    "launch-twice-\(name)", "a page is launched from two threads: one of them gets EIO", in: .launch
                ) {
                    world in
                    let guest = try world.launchingGuest(policy)
                    var successes = 0
                    world.atStart { successes = 0 }
                    for number in 0..<2 {
                        world.thread("VMM \(number)") {
                            if guest.launchError(0) == nil { successes += 1 }
                        }
                    }
                    world.atEnd { world.expect(successes == 1, "\(successes) of two launches of one page succeed") }
                },
                Scenario(
                    "allocate-launch-\(name)", "a page is made private, allocated, and then launched", in: .launch
                ) { world in
                    let guest = try world.addGuest(pages: 4, policy: policy)
                    try guest.vm.snpLaunchStart(policy: .standard)
                    world.thread("VMM") {
                        try guest.convert(0..<2, to: .private)
                        try guest.allocate(0..<2)
                        let error = guest.launchError(0)
                        world.expect(error == nil, "LAUNCH_UPDATE of a fresh page: \(outcome(error))")
                    }
                },
                Scenario(
                    "launch-refused-\(name)", "firmware refuses a page: its status arrives, and the page comes back",
                    in: .launch
                ) { world in
                    let guest = try world.launchingGuest(policy)
                    world.refuse(.snpLaunchUpdate, calls: 1...1, with: .invalidPageState)
                    world.thread("VMM") {
                        let error = guest.launchError(0)
                        world.expect(
                            error?.firmware == .invalidPageState,
                            "firmware said INVALID_PAGE_STATE, the caller got \(outcome(error))")
                        let again = guest.launchError(0)
                        world.expect(again == nil, "LAUNCH_UPDATE after a refusal: \(outcome(again))")
                    }
                    world.thread("vCPU 0") { guest.touch([1], allowing: [.invalidArgument]) }
                },
            ]
        } + [
            Scenario("launch-two-machines", "two machines are launched at the same time", in: .launch) { world in
                for number in 0..<2 as Range<Int> {
                    let guest = try world.launchingGuest(EagerPolicy())
                    world.thread("VMM \(number)") {
                        let error = guest.launchError(0)
                        world.expect(error == nil, "LAUNCH_UPDATE of machine \(number): \(outcome(error))")
                    }
                    world.atEnd {
                        world.expect(
                            guest.entry(0)?.validated == true,
                            "page 0 of machine \(number) is launched and not validated")
                    }
                }
            },
            Scenario("finish-vcpu", "a virtual CPU is made while LAUNCH_FINISH runs", in: .launch) { world in
                let guest = try world.launchingGuest(EagerPolicy())
                try guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
                world.thread("VMM 0") { try guest.vm.snpLaunchFinish() }
                world.thread("VMM 1") {
                    do throws(Errno) { try guest.vm.createVirtualCPU(id: 1, initialState: VMSA()) } catch {
                        world.expect(error == .invalidArgument, "a late virtual CPU gets \(error)")
                    }
                }
                world.atEnd {
                    let states = guest.vm.countPageStates()
                    let count = UInt64(guest.vm.virtualCPUCount)
                    let encrypted = states[.guestValid] ?? 0
                    world.expect(
                        encrypted == count,
                        "\(count) virtual CPUs exist after LAUNCH_FINISH and \(encrypted) are encrypted")
                }
            },
            Scenario("launch-destroy", "a machine is destroyed while it is launched", in: .launch) { world in
                let guest = try world.launchingGuest(EagerPolicy())
                world.checksInvariants = false
                world.thread("VMM 0") { guest.launchAllowing(0, [.ioError, .invalidArgument]) }
                world.thread("VMM 1") { guest.vm.destroy() }
                world.atEnd {
                    for violation in world.host.checkInvariants(of: [], limit: 1) { world.fail("\(violation)") }
                }
            },
            Scenario(
                "launch-no-entry", "the RMP refuses a page that is to be launched: the host's mapping is as before",
                in: .launch
            ) { world in
                let guest = try world.launchingGuest(LazyPolicy())
                world.refuse(.rmpUpdate, calls: 1...1, with: .failPermission)
                world.thread("VMM") {
                    let error = guest.launchError(0)
                    world.expect(error?.errno == .ioError, "LAUNCH_UPDATE that the RMP refuses: \(outcome(error))")
                }
                world.atEnd {
                    guest.vm.destroy()
                    world.checkDirectMapAtRest()
                }
            },
            Scenario("launch-empty", "LAUNCH_UPDATE refuses a length of 0", in: .launch) { world in
                let guest = try world.launchingGuest(EagerPolicy())
                world.thread("VMM") {
                    let error = guest.launchError(0, count: 0)
                    world.expect(error?.errno == .invalidArgument, "LAUNCH_UPDATE of no bytes: \(outcome(error))")
                }
            },
            Scenario(
                "launch-finish-refused", "firmware refuses LAUNCH_FINISH once: it can be called again", in: .launch
            ) {
                world in
                let guest = try world.launchingGuest(EagerPolicy())
                try guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
                world.refuse(.snpLaunchFinish, calls: 1...1, with: .badSignature)
                world.thread("VMM") {
                    do throws(SEVCommandError) { try guest.vm.snpLaunchFinish() } catch {
                        world.expect(error.firmware == .badSignature, "LAUNCH_FINISH gets \(error)")
                    }
                    do throws(SEVCommandError) { try guest.vm.snpLaunchFinish() } catch {
                        world.fail("LAUNCH_FINISH after a refusal gets \(error)")
                    }
                }
            },
            Scenario("start-no-entry", "the RMP refuses the guest context's page: the page is not lost", in: .launch) {
                world in
                let guest = try world.addGuest(pages: 2)
                world.refuse(.rmpUpdate, with: .failPermission)
                let free = world.host.allocator.freeFrameCount
                world.thread("VMM") {
                    do throws(SEVCommandError) {
                        try guest.vm.snpLaunchStart(policy: .standard)
                        world.fail("LAUNCH_START succeeds without a context page")
                    } catch {}
                }
                world.atEnd {
                    let found = world.host.allocator.freeFrameCount
                    world.expect(found == free, "\(free - found) frames are lost after a LAUNCH_START that failed")
                }
            },
            Scenario("start-two-machines", "two machines get their ASIDs and contexts at the same time", in: .launch) {
                world in
                for number in 0..<2 {
                    let guest = try world.addGuest(pages: 2, isInitialized: false)
                    world.thread("VMM \(number)") {
                        try guest.vm.sevInit2()
                        try guest.vm.snpLaunchStart(policy: .standard)
                    }
                }
                world.atEnd {
                    let asids = world.guests.compactMap(\.vm.asid)
                    world.expect(Set(asids).count == 2, "two machines have the ASIDs \(asids)")
                }
            },
        ]
}

/// An outcome in words.
private func outcome(_ error: SEVCommandError?) -> String { error.map { "\($0)" } ?? "success" }

extension World {
    /// A guest after LAUNCH_START with two backed private pages.
    ///
    /// - Throws: what the host refuses
    func launchingGuest(_ policy: any ConversionPolicy) throws -> Guest {
        let guest = try addGuest(pages: 4, policy: policy)
        try guest.vm.snpLaunchStart(policy: .standard)
        try guest.allocate(0..<2)
        try guest.convert(0..<2, to: .private)
        return guest
    }
}

extension Guest {
    /// LAUNCH_UPDATE of a page; a refusal with one of these numbers is fine.
    func launchAllowing(_ page: UInt64, _ errors: [Errno]) {
        guard let error = launchError(page), !errors.contains(error.errno) else { return }
        report("LAUNCH_UPDATE of page \(page) ends in \(error)")
    }
}
