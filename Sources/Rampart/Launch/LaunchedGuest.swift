// Carries out a launch plan on an emulated host, with the calls that a VMM makes. Every byte of the digest comes from the
// firmware's own work; nothing here computes a hash.

public import Hypervisor
import Machine
public import Monitor
public import SNPArchitecture
import SecureProcessor

/// A guest that was launched by a plan, and the host under it. The guest is destroyed with this object.
public final class LaunchedGuest {
    /// The host.
    public let emulated: EmulatedHost
    /// The guest.
    public let machine: VirtualMachine
    /// The firmware's digest of the launch, 48 bytes.
    public private(set) var digest: [UInt8] = []
    /// What the digest is made of, page by page; empty unless asked for.
    public private(set) var measuredPages: [PageInfo] = []
    /// The guest's virtual CPUs, by identifier. What executes their code is for the caller to attach.
    public private(set) var virtualCPUs: [VirtualCPU] = []

    /// Launches a guest.
    ///
    /// - Parameters:
    ///   - plan: what to launch
    ///   - memoryByteCount: the guest's memory; nil for as much as the plan touches
    ///   - policy: how later conversions change the RMP
    ///   - owner: what the guest's owner asks of firmware
    ///   - host: the host to launch on; nil for one of its own, of the size that the guest needs
    ///   - remembersPages: whether `measuredPages` is filled in
    /// - Throws: in check order: `.features`; `.memory`; what the host, a call or firmware refuses
    /// - Deviates: memory from 3 GiB up to 4 GiB is the image's; memory beyond 3 GiB starts at 4 GiB
    public init(
        _ plan: LaunchPlan, memoryByteCount: UInt64? = nil, policy: any ConversionPolicy = EagerPolicy(),
        owner: OwnerRequest = OwnerRequest(), on host: EmulatedHost? = nil, remembersPages: Bool = false
    ) throws(LaunchFailure) {
        guard plan.vcpuCount == 0 || plan.bootstrapVMSA.sevFeatures.contains(.snpActive) else {
            throw .features(plan.bootstrapVMSA.sevFeatures)
        }
        let regions = try Self.regions(plan, memoryByteCount)
        do throws(EmulatedHostError) {
            if let host {
                emulated = host
            } else {
                let total = regions.reduce(0) { $0 + $1.byteCount }
                emulated = try EmulatedHost(forGuestsOf: total, product: Self.product(for: plan.signature))
            }
        } catch { throw .host(error) }
        do throws(Errno) { machine = try VirtualMachine(host: emulated.host, policy: policy) } catch {
            throw .call("KVM_CREATE_VM", error)
        }
        if remembersPages { emulated.secureProcessor.rememberMeasuredPages() }
        try addMemory(regions)
        try launch(plan, owner)
    }

    /// The memory that a guest of a plan has if nobody says how much.
    static func neededByteCount(_ plan: LaunchPlan) -> UInt64 {
        plan.lowMemoryEnd.rawValue + UInt64(plan.image?.bytes.count ?? 0)
    }

    deinit { machine.destroy() }

    /// A run of guest memory.
    private struct Region {
        var gpa: GPA
        var byteCount: UInt64
    }

    private static func regions(_ plan: LaunchPlan, _ memoryByteCount: UInt64?) throws(LaunchFailure) -> [Region] {
        let image = plan.image.map { [Region(gpa: $0.gpa, byteCount: UInt64($0.bytes.count))] } ?? []
        let needed = plan.lowMemoryEnd.rawValue
        guard let memoryByteCount else {
            return (needed == 0 ? [] : [Region(gpa: GPA(0), byteCount: needed)]) + image
        }
        let low = min(memoryByteCount, 3 << 30)
        guard needed <= low else { throw .memory(needed: needed, given: memoryByteCount) }
        let high = memoryByteCount - low
        return (low > 0 ? [Region(gpa: GPA(0), byteCount: low)] : []) + image
            + (high > 0 ? [Region(gpa: GPA(4 << 30), byteCount: high)] : [])
    }

    private func addMemory(_ regions: [Region]) throws(LaunchFailure) {
        do throws(Errno) {
            for (index, region) in regions.enumerated() {
                let user = try UserMemory(host: emulated.host, byteCount: region.byteCount)
                let file = try machine.createGuestMemory(byteCount: region.byteCount)
                try machine.setMemoryRegion(
                    MemoryRegion(
                        slot: UInt32(index), gpa: region.gpa, byteCount: region.byteCount, userMemory: user,
                        guestMemory: file))
            }
        } catch { throw .call("KVM_SET_USER_MEMORY_REGION2", error) }
    }

    private func launch(_ plan: LaunchPlan, _ owner: OwnerRequest) throws(LaunchFailure) {
        try command("KVM_SEV_INIT2") { () throws(SEVCommandError) in
            try machine.sevInit2(vmsaFeatures: plan.bootstrapVMSA.sevFeatures.subtracting(.snpActive).rawValue)
        }
        do throws(Errno) {
            for index in 0..<plan.vcpuCount {
                let cpu = try machine.createVirtualCPU(id: UInt32(index), initialState: plan.vmsa(index))
                cpu.setCPUID(plan.cpuid(host: hostSignature).functions)
                virtualCPUs.append(cpu)
            }
        } catch { throw .call("KVM_CREATE_VCPU", error) }
        try command("KVM_SEV_SNP_LAUNCH_START") { () throws(SEVCommandError) in
            try machine.snpLaunchStart(policy: owner.policy)
        }
        guard let context = machine.contextPage else { throw .call("KVM_SEV_SNP_LAUNCH_START", .ioError) }
        if let digest = plan.initialDigest {
            emulated.secureProcessor.preloadLaunchDigest(digest, context: context.address)
        }
        for step in plan.steps { try update(step, of: plan) }
        try command("KVM_SEV_SNP_LAUNCH_FINISH") { () throws(SEVCommandError) in
            try machine.snpLaunchFinish(owner.finishRequest)
        }
        digest = emulated.secureProcessor.inspectGuest(context: context.address)?.launchDigest ?? []
        measuredPages = emulated.secureProcessor.measuredPages(context: context.address)
    }

    /// The most pages of one call, so that zero pages with contents need no memory of their own size.
    private static let pagesPerCall: UInt64 = 512

    private func update(_ step: LaunchPlan.Step, of plan: LaunchPlan) throws(LaunchFailure) {
        guard step.pageCount > 0 else { return }
        do throws(ConversionFailure) {
            try machine.setMemoryAttributes(step.gfn.address, byteCount: step.pageCount << 12, to: .private)
        } catch { throw .call("KVM_SET_MEMORY_ATTRIBUTES", error.errno) }
        var first: UInt64 = 0
        while first < step.pageCount {
            let count = min(step.pageCount - first, Self.pagesPerCall)
            var request = LaunchUpdateRequest(
                gfn: step.gfn + first, source: contents(of: step, first, count, plan), byteCount: count << 12,
                type: step.kind.pageType)
            while request.byteCount > 0 {
                let remaining = request.byteCount
                try command("KVM_SEV_SNP_LAUNCH_UPDATE of \(step.kind) page \(request.gfn.address)") {
                    () throws(SEVCommandError) in
                    try machine.snpLaunchUpdate(&request)
                }
                guard request.byteCount < remaining else { throw .call("KVM_SEV_SNP_LAUNCH_UPDATE", .ioError) }
            }
            first += count
        }
    }

    private func contents(of step: LaunchPlan.Step, _ first: UInt64, _ count: UInt64, _ plan: LaunchPlan) -> ArraySlice<
        UInt8
    >? {
        let bytes = Int(first << 12)..<Int((first + count) << 12)
        switch step.contents {
        case .image(let range):
            return plan.image?.bytes[(range.lowerBound + bytes.lowerBound)..<(range.lowerBound + bytes.upperBound)]
        case .bytes(let contents): return contents[bytes]
        case .cpuid:
            return CPUIDPage(plan.cpuid(host: hostSignature).functions).encoded[...]
        case .zero where step.kind == .zero: return nil
        case .zero, .secrets: return [UInt8](repeating: 0, count: bytes.count)[...]
        }
    }

    private var hostSignature: CPUSignature {
        CPUSignature(rawValue: emulated.machine.configuration.product.signature)
    }

    private func command(_ name: String, _ body: () throws(SEVCommandError) -> Void) throws(LaunchFailure) {
        do throws(SEVCommandError) { try body() } catch { throw .command(name, error) }
    }

    /// The product whose generation a guest is of; the oldest for older ones.
    private static func product(for signature: CPUSignature) -> Product {
        switch (signature.family, signature.model) {
        case (...0x18, _), (0x19, ...0xf): .milan
        case (0x19, 0xa0...0xaf): .bergamo
        case (0x19, _): .genoa
        default: .turin
        }
    }
}

/// Why a launch did not come to its end.
public enum LaunchFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// SEV_FEATURES without the bit that every SNP guest has.
    case features(SEVFeatures)
    /// The guest's memory below 3 GiB does not hold what its firmware asks for.
    case memory(needed: UInt64, given: UInt64)
    /// No host can be built.
    case host(EmulatedHostError)
    /// A call was refused.
    case call(String, Errno)
    /// A launch call was refused, perhaps by firmware.
    case command(String, SEVCommandError)

    /// Why firmware refused the guest's ID block, in words; nil for any other failure.
    ///
    /// LAUNCH_FINISH gives these statuses only for what is wrong with the block and its authentication.
    public var identityRefusal: String? {
        guard case .command("KVM_SEV_SNP_LAUNCH_FINISH", let error) = self else { return nil }
        return switch error.firmware {
        case .badMeasurement: "the ID block is for another launch digest"
        case .policyFailure: "the ID block is for another guest policy"
        case .invalidParam: "the ID authentication names an algorithm other than ECDSA P-384 with SHA-384"
        case .badSignature: "a key or signature of the ID authentication is wrong"
        default: nil
        }
    }

    /// One line for the user.
    public var description: String {
        switch self {
        case .features(let features):
            "guest features 0x\(String(features.rawValue, radix: 16)) lack bit 0, which every SNP guest has. "
                + "Use 0x\(String(features.rawValue | 1, radix: 16))."
        case .memory(let needed, let given):
            "the firmware asks for guest memory up to 0x\(String(needed, radix: 16)), and the guest has \(given) bytes "
                + "below 3 GiB. Raise --memory, or use another firmware image."
        case .host(let error): "\(error). Give the guest less memory."
        case .call(let name, let errno): "\(name) is refused: \(errno)."
        case .command(let name, let error):
            identityRefusal.map { "\($0) (\(name): \(error))." } ?? "\(name) is refused: \(error)."
        }
    }
}
