// The host itself: turning SNP on and off, firmware's pages, ASIDs.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import SecureProcessor

extension Scenario {
    static let hostScenarios: [Scenario] = [
        Scenario("init", "SNP is turned on, on every core", in: .host, configuration: .withoutSNP) { world in
            world.checksInvariants = false
            world.thread("host") { try world.host.initializeSNP() }
            world.atEnd {
                world.expect(world.machine.cores.snpEnabled, "SNP is not on, on every core")
                world.expect(world.host.allowsSNPMachines, "SNP is on, and KVM offers no SNP machine")
                world.expect(world.secureProcessor.platformState == .initialized, "firmware is not initialised")
                guard let frame = world.host.allocator.allocate(order: 0)?.pfn else { throw Errno.noMemory }
                do throws(Errno) { try world.host.write([1], at: frame.address) } catch {
                    world.fail("the host cannot write to frame \(frame), which its allocator has given it: \(error)")
                }
            }
        },
        Scenario("kexec", "SNP is turned off, and the next kernel turns it on again", in: .host) { world in
            world.checksInvariants = false
            world.thread("host") {
                try world.host.shutdownSNP()
                let next = try Host(machine: world.machine, defects: world.defects)
                try next.initializeSNP()
                world.expect(next.allowsSNPMachines, "SNP is on, and the next kernel offers no SNP machine")
            }
        },
        Scenario(
            "init-refused", "firmware refuses to be initialised: the host says so", in: .host,
            configuration: .withoutSNP
        ) { world in
            world.checksInvariants = false
            world.refuse(.snpInitEx, calls: 1...1, with: .invalidConfig)
            world.thread("host") {
                do throws(SNPInitializationError) {
                    try world.host.initializeSNP()
                    world.fail("the host takes SNP to be on although firmware refused")
                } catch {
                    world.expect(error == .firmware(.status(.invalidConfig)), "a refused SNP_INIT_EX becomes \(error)")
                }
            }
        },
        Scenario("shutdown", "SNP is turned off after a guest has run", in: .host) { world in
            let guest = try world.addGuest(pages: 2)
            try guest.launch()
            world.checksInvariants = false
            world.thread("host") {
                guest.vm.destroy()
                try world.host.shutdownSNP()
            }
        },
        Scenario(
            "iommu-buffers", "SNP is turned off: the IOMMUs' buffers are the host's again", in: .host,
            configuration: .withIOMMUBuffers
        ) { world in
            world.thread("host") { try world.host.shutdownSNP() }
            world.atEnd { world.expectOwnIOMMUBuffers() }
        },
        Scenario(
            "panic", "the kernel panics after a guest has run, and leaves firmware shut down", in: .host,
            configuration: .withIOMMUBuffers
        ) { world in
            let guest = try world.addGuest(pages: 2)
            try guest.launch()
            world.checksInvariants = false
            world.thread("host") {
                guest.vm.destroy()
                if let refusal = world.host.shutdownSNPInPanic() {
                    world.fail("firmware is not shut down in a panic: \(refusal)")
                }
            }
            world.atEnd { world.expectOwnIOMMUBuffers() }
        },
        Scenario(
            "block-refused", "a page of a buffer for firmware is refused: those before it are the host's again",
            in: .host
        ) { world in
            let free = world.host.allocator.freeFrameCount
            world.refuse(.rmpUpdate, calls: 2...2, with: .failPermission)
            world.thread("host") {
                do throws(SEVCommandError) {
                    _ = try PlatformDevice(host: world.host).certificateRequest(capacity: 8192)
                    world.fail("firmware writes to a buffer that it does not have")
                } catch { world.expect(error.errno == .badAddress, "a refused page ends in \(error)") }
            }
            world.atEnd {
                let found = world.host.allocator.freeFrameCount
                world.expect(found == free, "\(free) frames were free, \(found) are")
            }
        },
        Scenario("request-destroyed", "a machine goes while its guests ask firmware for something", in: .host) {
            world in
            let guest = try world.addGuest(pages: 4)
            try guest.launch()
            world.checksInvariants = false
            for number in 0..<2 as Range<UInt64> {
                world.thread("vCPU \(number)") {
                    let (request, response) = (guest.gfn(number * 2).address, guest.gfn(number * 2 + 1).address)
                    do throws(SEVCommandError) {
                        try guest.vm.snpGuestRequest(request, response: response)
                        world.fail("firmware takes an empty page for a message")
                    } catch {
                        // Firmware's refusal, or the machine is gone.
                        let isExpected =
                            error == SEVCommandError(.ioError, .invalidParam)
                            || error.errno == .ioError
                                && error.firmware == nil
                            || error == SEVCommandError(.invalidArgument)
                            || error == SEVCommandError(.ioError, .invalidGuest)
                        world.expect(isExpected, "a request to firmware ends in \(error)")
                    }
                }
            }
            world.thread("VMM") { guest.vm.destroy() }
            world.atEnd {
                let found = world.host.checkInvariants(of: []).first?.description
                world.expect(found == nil, found ?? "")
                world.expect(world.host.leaked.count == 0, "pages are lost with the machine")
            }
        },
        Scenario("asid-again", "a machine gets the ASID of one that is gone", in: .host, configuration: .oneASID) {
            world in
            let first = try world.addGuest(pages: 2)
            try first.launch()
            let second = try world.addGuest(pages: 2, isInitialized: false)
            world.checksInvariants = false
            world.thread("VMM") {
                first.vm.destroy()
                try second.vm.sevInit2()
                try second.vm.snpLaunchStart(policy: .standard)
            }
        },
        Scenario(
            "asid-race", "two machines want the only ASID while its owner goes", in: .host, configuration: .oneASID
        ) {
            world in
            let first = try world.addGuest(pages: 2)
            try first.launch()
            let others = try (0..<2).map { _ in try world.addGuest(pages: 2, isInitialized: false) }
            world.checksInvariants = false
            world.thread("VMM 0") { first.vm.destroy() }
            for (number, guest) in others.enumerated() {
                world.thread("VMM \(number + 1)") {
                    do throws(SEVCommandError) { try guest.vm.sevInit2() } catch {
                        world.expect(error.errno == .busy, "SEV_INIT2 gets \(error)")
                        return
                    }
                    try guest.vm.snpLaunchStart(policy: .standard)
                }
            }
            world.atEnd {
                let asids = others.compactMap(\.vm.asid)
                world.expect(asids.count <= 1, "\(asids.count) machines have the only ASID")
            }
        },
        Scenario("mirror-refused", "a machine is mirrored and moved while it is launched and goes", in: .host) {
            world in
            let source = try world.addGuest(pages: 2)
            let other = try world.addGuest(pages: 2, isInitialized: false)
            world.checksInvariants = false
            world.thread("VMM 0") {
                try source.vm.snpLaunchStart(policy: .standard)
                source.vm.destroy()
            }
            world.thread("VMM 1") {
                for isMove in [false, true] {
                    do throws(Errno) {
                        if isMove {
                            try other.vm.moveEncryptionContext(from: source.vm)
                        } else {
                            try other.vm.copyEncryptionContext(from: source.vm)
                        }
                        let asid = other.vm.asid.map { "\($0)" } ?? "none"
                        world.fail("a second machine has an SNP machine's ASID \(asid)")
                    } catch {
                        world.expect(error == .invalidArgument, "a mirror of an SNP machine is refused with \(error)")
                    }
                }
                try other.vm.sevInit2()
            }
            world.atEnd { world.expect(other.vm.asid != nil, "a machine that is no mirror gets no ASID of its own") }
        },
        Scenario(
            "launch-start-fields", "firmware gets the TSC frequency and the workarounds that the VMM means", in: .host
        ) { world in
            let guests = try (0..<2).map { _ in try world.addGuest(pages: 2) }
            world.checksInvariants = false
            for (number, guest) in guests.enumerated() {
                world.thread("VMM \(number)") {
                    try guest.vm.snpLaunchStart(policy: .standard, gosvw: Array(1...16))
                }
            }
            world.atEnd {
                for guest in guests {
                    let page = guest.vm.contextPage
                    let found = page.flatMap { world.secureProcessor.inspectGuest(context: $0.address) }
                    guard let found else { return world.fail("firmware knows no such guest") }
                    world.expect(
                        found.desiredTSCKilohertz == 0,
                        "the guest's TSC is to run at \(found.desiredTSCKilohertz) kHz, which nobody asked for")
                }
            }
        },
        Scenario("context-page", "a guest context is never a 2 MiB aligned page", in: .host) { world in
            let guest = try world.addGuest(pages: 2)
            // The next frame that the allocator gives firmware is the first of a 2 MiB region.
            while let block = world.host.allocator.allocate(order: 0, for: .firmware) {
                guard block.pfn.isAligned(to: .size2M) else { continue }
                world.host.allocator.free(block.pfn, order: 0)
                break
            }
            world.thread("VMM") { try guest.vm.snpLaunchStart(policy: .standard) }
            world.atEnd {
                let page = guest.vm.contextPage
                world.expect(
                    page?.isAligned(to: .size2M) == false,
                    "the guest context is frame \(page.map { "\($0)" } ?? "none")")
            }
        },
        Scenario("firmware-pages", "two threads take and give back firmware's pages", in: .host) { world in
            let free = world.host.allocator.freeFrameCount
            for number in 0..<2 {
                world.thread("host \(number)") {
                    let page = try world.host.firmware.allocatePage()
                    try world.host.firmware.freePage(page)
                }
            }
            world.atEnd {
                let found = world.host.allocator.freeFrameCount
                world.expect(found == free, "\(free) frames were free, \(found) are")
            }
        },
        Scenario("reclaim-refused", "firmware does not give a page back: it leaks and is not used again", in: .host) {
            world in
            world.refuse(.snpPageReclaim, calls: 1...1, with: .invalidPageState)
            for number in 0..<2 {
                world.thread("host \(number)") {
                    let page = try world.host.firmware.allocatePage()
                    try? world.host.firmware.freePage(page)
                }
            }
            world.atEnd {
                world.expect(world.host.leaked.count == 1, "\(world.host.leaked.count) frames leaked, not one")
            }
        },
    ]
}

extension World {
    /// Reports a page of the IOMMUs' buffers that the host cannot write to.
    fileprivate func expectOwnIOMMUBuffers() {
        for frame in machine.iommu.buffers.joined() {
            do throws(Errno) { try host.write([1], at: frame.address) } catch {
                fail("the host cannot write to the IOMMUs' buffer at frame \(frame): \(error)")
            }
        }
    }
}

extension WorldConfiguration {
    /// A host with buffers of its IOMMUs amid its memory.
    static var withIOMMUBuffers: WorldConfiguration {
        var configuration = WorldConfiguration()
        configuration.iommuBuffers = [PFN(0x301)..<PFN(0x303)]
        return configuration
    }

    /// A host on which SNP is off.
    static var withoutSNP: WorldConfiguration {
        var configuration = WorldConfiguration()
        configuration.initializesSNP = false
        return configuration
    }

    /// A host for one SNP guest at a time.
    static var oneASID: WorldConfiguration {
        var configuration = WorldConfiguration()
        configuration.asidCount = 1
        return configuration
    }
}
