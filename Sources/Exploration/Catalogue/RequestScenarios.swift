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
        } + [
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
        ]
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
