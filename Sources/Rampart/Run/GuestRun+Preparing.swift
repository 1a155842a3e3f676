// From a request to a launched guest that is about to run.

internal import Hypervisor
internal import Machine
internal import Monitor
internal import SNPArchitecture

extension GuestRun {
    /// Builds the host and launches the guest.
    ///
    /// - Parameter retrace: for the repetition of a run
    /// - Throws: as `runGuest`
    static func prepare(
        _ request: RunRequest, retrace: Retrace? = nil, _ console: any GuestConsole
    ) throws -> GuestRun {
        let image: GuestImage
        switch request.program {
        case .bundled(let guest): image = guest.image
        case .file(let path):
            do { image = try GuestImage.load(path) } catch { throw InputError("\(path): \(error)") }
        }
        let plan: LaunchPlan
        do throws(DirectLaunchError) {
            plan = try LaunchPlan.direct(
                image: image,
                configuration: DirectConfiguration(
                    memoryByteCount: request.memory.byteCount, vcpuCount: request.vcpuCount,
                    commandLine: request.commandLine,
                    signature: CPUSignature(rawValue: Product.genoa.signature)))
        } catch { throw InputError("\(request.program.name): \(error)") }
        let host: EmulatedHost
        do throws(EmulatedHostError) {
            host = try EmulatedHost(forGuestsOf: request.memory.byteCount, seed: request.seed)
        } catch { throw LaunchFailure.host(error) }
        let clock = VirtualClock()
        let recorder = RunRecorder(isTraced: request.isTraced, clock: clock)
        recorder.note(
            "run",
            [
                ("program", request.program.name), ("memory", String(request.memory.byteCount)),
                ("vcpus", String(request.vcpuCount)), ("append", request.commandLine),
                ("personality", request.personality.rawValue), ("attacks", request.attacks.joined(separator: ",")),
                ("policy", request.policy.rawValue), ("seed", String(request.seed)),
            ])
        recorder.attach(to: host)
        let guest = try LaunchedGuest(
            plan, memoryByteCount: request.memory.byteCount, policy: request.policy.policy, on: host)
        return try GuestRun(guest, request, recorder, clock, retrace, console)
    }
}
