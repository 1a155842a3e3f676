// Carries out `rampart convert`: a guest of any size, its memory backed, and a list of conversions on it.

public import Hypervisor
import Machine
import SNPArchitecture

/// Converts guest memory as asked.
///
/// - Throws: `InputError` when the computer or the host cannot hold such a guest
public func convert(_ request: ConvertRequest, progress: (String) -> Void = { _ in }) throws(InputError)
    -> ConvertReport
{
    let run = try ConvertRun(request)
    return run.perform(progress)
}

private struct ConvertRun {
    let request: ConvertRequest
    let emulated: EmulatedHost
    let machine: VirtualMachine
    let file: GuestMemory

    init(_ request: ConvertRequest) throws(InputError) {
        self.request = request
        try request.checkMemory()
        do throws(EmulatedHostError) {
            let segmentation = request.rmpSegmentSize.map {
                RMPSegmentation(shift: UInt8($0.byteCount.trailingZeroBitCount))
            }
            emulated = try EmulatedHost(
                forGuestsOf: request.memory.byteCount, product: segmentation == nil ? .genoa : .turin,
                rmpSegmentation: segmentation)
        } catch {
            throw InputError("a guest of \(request.memory) cannot be built: \(error). Give less --memory.")
        }
        do {
            machine = try VirtualMachine(host: emulated.host, policy: request.policy.policy)
            try machine.sevInit2()
            file = try machine.createGuestMemory(byteCount: request.memory.byteCount, folioOrder: request.folioOrder)
            let user = try UserMemory(host: emulated.host, byteCount: request.memory.byteCount)
            try machine.setMemoryRegion(
                MemoryRegion(
                    slot: 0, gpa: GPA(0), byteCount: request.memory.byteCount, userMemory: user, guestMemory: file))
            if machine.policy.isEager {
                // An eager policy converts what is backed; a lazy one backs pages at the first fault.
                try machine.allocate(file, offset: 0, byteCount: request.memory.byteCount)
            }
        } catch {
            throw InputError("a guest of \(request.memory) cannot be built: \(error). Give less --memory.")
        }
    }

    func perform(_ progress: (String) -> Void) -> ConvertReport {
        let all = GFN(0)..<GFN(request.memory.byteCount >> 12)
        let steps = request.list?.steps ?? [ConversionStep(.private, all), ConversionStep(.shared, all)]
        let before = tally()
        var reports: [ConvertStepReport] = []
        armFailure()
        var violations: [String] = []
        for (index, step) in steps.enumerated() {
            let report = perform(step)
            reports.append(report)
            if report.failure == nil, step.target == .private { touch(step) }
            progress("\(index + 1) of \(steps.count) conversions")
            // A list of two is checked after each; a longer one at its end, where it must agree with the model too.
            guard steps.count <= 2 || index == steps.count - 1 else { continue }
            progress("checking invariants")
            violations += emulated.host.checkInvariants(of: [machine]).map(\.description)
        }
        emulated.machine.rmp.injection.set(nil)
        if reports.allSatisfy({ $0.failure == nil }) { violations += machine.differences(from: steps, request) }
        let report = ConvertReport(
            request: request, before: before, after: tally(), steps: reports,
            violations: violations, leakedPageCount: UInt64(emulated.host.leaked.count))
        machine.destroy()
        return report
    }

    private func perform(_ step: ConversionStep) -> ConvertStepReport {
        let start = machine.conversionCounts
        let clock = ContinuousClock()
        var failure: String?
        let duration = clock.measure {
            do {
                try convert(step)
            } catch let error as ConversionFailure {
                failure = error.explanation
            } catch {
                failure = "\(error)"
            }
        }
        let delta = machine.conversionCounts.since(start)
        return ConvertStepReport(
            step: step, convertedPageCount: step.target == .private ? delta.madePrivate : delta.madeShared,
            failure: failure, counts: OperationCounts(delta), duration: duration)
    }

    /// The guest touches what became private, so that a later conversion finds mappings to zap. Not part of the time.
    private func touch(_ step: ConversionStep) {
        guard machine.policy.isEager, machine.policy.preparesAtFault else { return }
        _ = try? machine.populateMappings(
            step.frames.lowerBound.address, byteCount: UInt64(step.frames.count) << 12)
    }

    private func convert(_ step: ConversionStep) throws {
        let gpa = step.frames.lowerBound.address
        let byteCount = UInt64(step.frames.count) << 12
        try machine.setMemoryAttributes(gpa, byteCount: byteCount, to: step.target == .private ? .private : .shared)
        guard !machine.policy.isEager else { return }
        // What a lazy policy leaves to the guest's first access and to the VMM's discard.
        switch step.target {
        case .private: _ = try machine.populateMappings(gpa, byteCount: byteCount)
        case .shared: try machine.punchHole(file, offset: gpa.rawValue, byteCount: byteCount)
        }
    }

    /// Makes one RMPUPDATE fail for good if the request wants that: the n-th, and every try to repeat it.
    private func armFailure() {
        guard let nth = request.failingUpdate else { return }
        let failing = FailingUpdate(nth)
        emulated.machine.rmp.injection.set { instruction, pfn in
            instruction == .rmpUpdate ? failing.decide(pfn) : nil
        }
    }

    private func tally() -> [PageTally] {
        let counts = machine.countPageStates()
        let backed = counts.values.reduce(0, +)
        let unbacked = request.memory.byteCount >> 12 - min(backed, request.memory.byteCount >> 12)
        return PageState.allCases.compactMap { state in counts[state].map { PageTally(state.rawValue, $0) } }
            + (unbacked > 0 ? [PageTally("Unbacked", unbacked)] : [])
    }
}

extension PolicyName {
    /// The policy of this name.
    public var policy: any ConversionPolicy {
        switch self {
        case .eager: EagerPolicy()
        case .lazy: LazyPolicy()
        case .asPosted: AsPostedPolicy()
        }
    }
}

extension OperationCounts {
    /// The counts of conversions.
    init(_ counts: ConversionCounts) {
        self.init()
        rmpUpdates = counts.rmp.updates
        psmashes = counts.rmp.psmashes
        splits = counts.directMapSplits
        zaps = counts.zaps
        tlbFlushes = counts.tlbFlushes
    }
}

extension ConversionFailure {
    /// One line for a person.
    fileprivate var explanation: String {
        var text = errno.description
        if let status { text += ", \(status.name)" }
        if let gfn { text += ", at guest address \(gfn.address)" }
        let pages = converted.reduce(0) { $0 + $1.count }
        return text + (converted.isEmpty ? "; nothing was converted" : "; \(pages) pages were converted all the same")
    }
}
