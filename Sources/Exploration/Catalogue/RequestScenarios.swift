// Running guests: what virtual CPUs ask for with VMGEXIT, while others of them and the VMM interfere.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

extension Scenario {
    static let requestScenarios: [Scenario] =
        explorablePolicies.map { name, policy in
            Scenario(
                "vmsa-punched-\(name)", "the VMM punches out the VMSA that a virtual CPU runs with", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 2, policy: policy)
                try running.prepare(
                    0,
                    running.script(0) { try $0.startAP(apicID: 1, vmsa: .scripted(), at: running.gpa(2)) })
                try running.prepare(1, GuestScript())
                running.run(
                    GuestScript(),
                    try running.script(1) { script in
                        for page in [0, 1, 0] as [UInt64] { try script.touch(running.gpa(page)) }
                    })
                world.thread("VMM") { try running.guest.punchHole(2..<3) }
                running.thread(1) { $0 == .failed(.invalidArgument) ? .stop : .usual }
                world.atEnd {
                    world.expect(world.host.leaked.count == 0, "a VMSA's page is lost to a hole in the memory")
                    world.expect(running.guest.vm.causeOfDeath == nil, "a hole in the memory kills the machine")
                }
            }
        }
        + explorablePolicies.map { name, policy in
            Scenario(
                "psc-punched-\(name)", "the VMM punches out pages that a virtual CPU asks to be made shared", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 1, policy: policy)
                let entries = [1, 2].map { PageStateChangeEntry(running.gpa($0).frame, .makeShared) }
                var call = GHCBCall(.pageStateChange)
                call.buffer = bytes(of: PageStateChangeHeader(currentEntry: 0, endEntry: 1).rawValue)
                for entry in entries { call.buffer += bytes(of: entry.rawValue) }
                call.outputs = []
                running.run(
                    try running.script(0) { script in
                        try script.pvalidate(running.gpa(1), count: 1, .size4K, .rescind)
                        try script.vmgexit(call)
                        try script.write(running.gpa(1), .shared, [1, 2, 3])
                    })
                running.thread(0)
                world.thread("VMM") { try running.guest.punchHole(2..<3) }
                world.atEnd {
                    running.expectFinished(0)
                    for page in [1, 2] as [UInt64] {
                        world.expect(!running.guest.isPrivate(page), "page \(page) stays private")
                        let isAssigned = running.guest.entry(page)?.assigned == true
                        world.expect(
                            policy.isEager ? !isAssigned : true, "page \(page) is shared and still the guest's")
                    }
                    world.expect(running.guest.pfn(2) == nil, "page 2 is backed after the hole")
                    world.expect(world.host.leaked.count == 0, "pages are lost to a hole in the memory")
                }
            }
        } + [
            Scenario(
                "creation-refused", "AP creation is refused for a reason or other: the target runs on", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 2)
                running.run(
                    try running.script(0) { script in
                        let page = running.gpa(2)
                        try script.vmgexit(.refusedCreation(APCreationKind(rawValue: 7), vmsa: page, features: 1))
                        try script.vmgexit(.refusedCreation(.create, vmsa: page, features: 3))
                        try script.vmgexit(.refusedCreation(.create, vmsa: page + 8, features: 1))
                    },
                    try running.script(1) { script in
                        for page in [0, 1, 3] as [UInt64] { try script.touch(running.gpa(page)) }
                    })
                running.thread(0)
                running.thread(1)
                world.atEnd {
                    for index in 0..<2 { running.expectFinished(index) }
                }
            },
            Scenario(
                "psc-rewritten", "a virtual CPU rewrites an entry of another's page state change, which is refused",
                in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 2)
                let asked = PageStateChangeEntry(running.gpa(1).frame, .makeShared)
                let forged = PageStateChangeEntry(running.gpa(1).frame, .makeShared, .size2M)
                let header = PageStateChangeHeader(currentEntry: 0, endEntry: 0)
                var call = GHCBCall(.pageStateChange)
                call.buffer = bytes(of: header.rawValue) + bytes(of: asked.rawValue)
                call.outputs = []
                let entry = running.ghcb(0) + UInt64(GHCBPage.sharedBuffer.lowerBound + 8)
                running.run(
                    try running.script(0) { try $0.vmgexit(call) },
                    try running.script(1) { try $0.write(entry, .shared, bytes(of: forged.rawValue)) })
                running.thread(0) { exit in
                    guard case .mapRange(let call) = exit else { return .usual }
                    world.expect(
                        call.gpa.frame.isAligned(to: call.pageSize),
                        "user space is to convert a \(call.pageSize) page at guest frame \(call.gpa.frame)")
                    running.cpus[0].reply(.result(UInt64(Errno.invalidArgument.rawValue)))
                    return .goOn
                }
                running.thread(1)
                world.atEnd {
                    for index in 0..<2 { running.expectFinished(index) }
                }
            },
            Scenario(
                "ghcb-rewritten", "a virtual CPU rewrites the exit code of another's request under way", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 2)
                // What the event does not look at would be OUT, without a value in RAX.
                let port = IOExitInfo(port: 0x80, byteCount: 1, isInput: false)
                var call = GHCBCall(.hypervisorFeatures, info1: port.rawValue)
                call.outputs = []
                let code = running.ghcb(0) + UInt64(GHCBField.exitCode.rawValue)
                running.run(
                    try running.script(0) { try $0.vmgexit(call) },
                    try running.script(1) { try $0.write(code, .shared, bytes(of: ExitCode.ioio.rawValue)) })
                running.thread(0) { exit in
                    if case .io = exit { world.fail("user space is to write a port from an RAX that was never given") }
                    return .usual
                }
                running.thread(1)
                world.atEnd {
                    for index in 0..<2 { running.expectFinished(index) }
                }
            },
            Scenario(
                "hypercall-unanswered", "the VMM refuses a conversion, and does the next without a word", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 1)
                var exits = 0
                world.atStart { exits = 0 }
                let refused = GHCBMSRResponse.pageStateChange(error: GHCBMSRResponse.genericPageStateChangeError)
                running.run(
                    try running.script(0) { script in
                        try script.convert(running.gpa(1), to: .makeShared, expecting: refused)
                        try script.convert(running.gpa(2), to: .makeShared, expecting: .pageStateChange(error: 0))
                    })
                running.thread(0) { exit in
                    guard case .mapRange = exit else { return .usual }
                    exits += 1
                    guard exits == 1 else { return .usual }
                    running.cpus[0].reply(.result(UInt64(Errno.invalidArgument.rawValue)))
                    return .goOn
                }
                world.thread("VMM") { running.guest.touch([0, 3]) }
                world.atEnd { running.expectFinished(0) }
            },
            Scenario(
                "hypercall-interrupted", "a signal comes between the VMM's answer and the guest's next entry",
                in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 1)
                let refused = GHCBMSRResponse.pageStateChange(error: GHCBMSRResponse.genericPageStateChangeError)
                running.run(
                    try running.script(0) { try $0.convert(running.gpa(1), to: .makeShared, expecting: refused) })
                running.thread(0) { exit in
                    guard case .mapRange = exit else { return .usual }
                    running.cpus[0].reply(.result(UInt64(Errno.invalidArgument.rawValue)))
                    return .goOn
                }
                world.thread("VMM") { running.cpus[0].interruptRun() }
                world.atEnd { running.expectFinished(0) }
            },
            Scenario(
                "validated-shared", "a virtual CPU validates a page that the VMM has made shared", in: .guest
            ) { world in
                let running = try world.addRunningGuest(cpus: 1)
                running.run(
                    try running.script(0) { script in
                        try script.append(
                            GuestStep(.pvalidate(running.gpa(1), .size4K, .validate, count: 1), .anything))
                    })
                world.thread("VMM") {
                    try running.guest.convert(1..<2, to: .shared)
                    running.guest.touch([1])
                }
                running.thread(0) { exit in
                    if case .memoryFault(_, _, true, .badAddress) = exit { return .stop }
                    return .usual
                }
                world.atEnd {
                    world.expect(!running.guest.isPrivate(1), "a page that the VMM made shared has become private")
                }
            },
        ]
}

/// The bytes of a quadword.
private func bytes(of value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

extension GHCBCall {
    /// AP creation for virtual CPU 1 that must be refused.
    fileprivate static func refusedCreation(_ kind: APCreationKind, vmsa: GPA, features: UInt64) -> GHCBCall {
        var call = GHCBCall(
            .apCreation, info1: APCreationInput(kind, apicID: 1, vmsa: vmsa).exitInfo1, info2: vmsa.rawValue,
            [GHCBFieldValue(.rax, features)])
        call.outputs = [
            GHCBFieldValue(.exitInfo1, UInt64(GHCBAction.malformedInput.rawValue)),
            GHCBFieldValue(.exitInfo2, GHCBMalformedInput.invalidInput.rawValue),
        ]
        return call
    }
}

extension GuestScript {
    /// Adds a page state change by the MSR protocol.
    fileprivate mutating func convert(
        _ gpa: GPA, to operation: PageStateOperation, expecting response: GHCBMSRResponse
    ) throws {
        if operation == .makeShared { try pvalidate(gpa, .size4K, .rescind) }
        try msr(GHCBMSRRequest.pageStateChange(gpa.frame, operation).rawValue, expecting: response.rawValue)
    }
}
