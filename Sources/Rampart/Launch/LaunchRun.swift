// Carries out `rampart launch`: plans the launch of an image and runs it on a host of its own.

import Hypervisor
import Machine
import Monitor
import SNPArchitecture

/// Launches a guest as asked.
///
/// - Throws: in check order: `InputError` for the image and the plan; `LaunchFailure`
public func launch(_ request: LaunchRequest, progress: @escaping (String) -> Void = { _ in }) throws -> LaunchReport {
    let image: OVMFImage
    do {
        image = try request.imagePath.map { try OVMFImage.load($0) } ?? BundledImage.image
    } catch let error as FileError {
        throw InputError(error.description)
    } catch {
        throw InputError("\(request.imagePath ?? "the bundled image"): \(error)")
    }
    let configuration = LaunchConfiguration(
        vcpuCount: request.vcpuCount, signature: CPUSignature(rawValue: Product.genoa.signature))
    let plan: LaunchPlan
    do throws(LaunchPlanError) { plan = try LaunchPlan(image: image, configuration: configuration) } catch {
        throw InputError("\(request.imagePath ?? "the bundled image"): \(error)")
    }
    let clock = ContinuousClock()
    let start = clock.now
    progress("launching \(plan.steps.reduce(0) { $0 + $1.pageCount }) pages and \(plan.vcpuCount) VMSAs")
    let guest = try LaunchedGuest(
        plan, memoryByteCount: request.memory.byteCount, policy: request.policy.policy, owner: request.owner)
    let duration = clock.now - start
    progress("checking invariants")
    let host = guest.emulated.host
    return LaunchReport(
        request: request, digest: guest.digest, asid: guest.machine.asid ?? .host,
        pages: PageState.allCases.compactMap { state in
            guest.machine.countPageStates()[state].map { PageTally(state.rawValue, $0) }
        },
        counts: OperationCounts(guest.machine.conversionCounts), firmwareCommandCount: host.firmware.commandCount,
        duration: duration, violations: host.checkInvariants(of: [guest.machine]).map(\.description))
}
