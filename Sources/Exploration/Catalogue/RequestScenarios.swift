// Running guests: what virtual CPUs ask for with VMGEXIT, while others of them and the VMM interfere.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

extension Scenario {
    static let requestScenarios: [Scenario] =
        [
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
