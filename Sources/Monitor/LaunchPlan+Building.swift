// From a firmware image and a guest's configuration to the ordered launch updates, as three families of VMM make them.

public import SNPArchitecture

/// What a guest is launched with, besides its firmware image.
public struct LaunchConfiguration: Sendable {
    /// The most virtual CPUs of a guest: KVM's limit on x86.
    public static let maximumVCPUCount = 4096

    /// Whose order and initial registers to use.
    public var vmm: VMMType
    /// The number of virtual CPUs.
    public var vcpuCount: Int
    /// The processor's signature.
    public var signature: CPUSignature
    /// SEV_FEATURES of every virtual CPU.
    public var features: SEVFeatures
    /// The hashes of a kernel that is booted directly.
    public var kernelHashes: KernelHashes?
    /// The digest of the image's pages, 48 bytes, to be used instead of the image's contents.
    public var imageDigest: [UInt8]?

    /// Makes a configuration.
    public init(
        vmm: VMMType = .qemu, vcpuCount: Int = 1, signature: CPUSignature, features: SEVFeatures = .snpActive,
        kernelHashes: KernelHashes? = nil, imageDigest: [UInt8]? = nil
    ) {
        self.vmm = vmm
        self.vcpuCount = vcpuCount
        self.signature = signature
        self.features = features
        self.kernelHashes = kernelHashes
        self.imageDigest = imageDigest
    }
}

/// Why no launch plan can be made.
public enum LaunchPlanError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of virtual CPUs is not in 1 to 4096.
    case vcpuCount(Int)
    /// The digest given for the image has not 48 bytes.
    case imageDigest(byteCount: Int)
    /// The image is malformed, or lacks what the configuration needs.
    case image(OVMFError)

    /// One line for the user.
    public var description: String {
        switch self {
        case .vcpuCount(let count):
            "\(count) virtual CPUs are not possible. Use 1 to \(LaunchConfiguration.maximumVCPUCount)."
        case .imageDigest(let count):
            "the image's digest has \(count) bytes, not 48. Give the 96 hexadecimal digits of its launch digest."
        case .image(let error): error.description
        }
    }
}

extension LaunchPlan {
    /// Plans the launch of a guest.
    ///
    /// - Throws: in check order: `.vcpuCount`; `.imageDigest`; `.noTable` or `.noResetBlock`; `.zeroResetAddress`; for
    ///   each section in order its kind, alignment, length; the hash table for the first section of kernel hashes;
    ///   `.noKernelHashesSection`; `.sectionOverlap`
    public init(image: OVMFImage, configuration: LaunchConfiguration) throws(LaunchPlanError) {
        guard (1...LaunchConfiguration.maximumVCPUCount).contains(configuration.vcpuCount) else {
            throw .vcpuCount(configuration.vcpuCount)
        }
        if let digest = configuration.imageDigest, digest.count != 48 { throw .imageDigest(byteCount: digest.count) }
        let resetAddress: UInt32
        let metadata: [Step]
        do throws(OVMFError) {
            resetAddress = try Self.resetAddress(image, vcpuCount: configuration.vcpuCount)
            metadata = try Self.metadataSteps(image, configuration)
        } catch {
            throw .image(error)
        }
        let flash = Step(
            gfn: image.gpa.frame, pageCount: UInt64(image.bytes.count / 4096), kind: .normal,
            contents: .image(0..<image.bytes.count))
        self.image = image
        initialDigest = configuration.imageDigest
        steps = (configuration.imageDigest == nil ? [flash] : []) + metadata
        vcpuCount = configuration.vcpuCount
        func vmsa(_ eip: UInt32) -> VMSA {
            .reset(
                vmm: configuration.vmm, eip: eip, cpuSignature: configuration.signature,
                features: configuration.features)
        }
        bootstrapVMSA = vmsa(VMSA.bootstrapEIP)
        applicationVMSA = vmsa(resetAddress)
        signature = configuration.signature
    }

    /// Plans the measurement of an image alone, without a guest around it.
    public init(imageOnly image: OVMFImage) {
        self.image = image
        initialDigest = nil
        steps = [
            Step(
                gfn: image.gpa.frame, pageCount: UInt64(image.bytes.count / 4096), kind: .normal,
                contents: .image(0..<image.bytes.count))
        ]
        vcpuCount = 0
        bootstrapVMSA = VMSA()
        applicationVMSA = VMSA()
        signature = CPUSignature(rawValue: 0)
    }

    private static func resetAddress(_ image: OVMFImage, vcpuCount: Int) throws(OVMFError) -> UInt32 {
        guard image.hasTable else { throw OVMFError(.noTable, at: image.tableEnd - GUIDTable.headerByteCount) }
        guard let address = image.resetAddress else { throw OVMFError(.noResetBlock, at: image.tableEnd) }
        guard address != 0 || vcpuCount == 1 else { throw OVMFError(.zeroResetAddress, at: image.tableEnd) }
        return address
    }

    private static func metadataSteps(
        _ image: OVMFImage, _ configuration: LaunchConfiguration
    ) throws(OVMFError) -> [Step] {
        var steps: [Step] = []
        var deferred: [Step] = []
        for section in image.sections {
            let step = try step(section, image, configuration)
            if configuration.vmm == .ec2 && section.kind == .cpuid { deferred.append(step) } else { steps.append(step) }
        }
        if configuration.kernelHashes != nil && !image.sections.contains(where: { $0.kind == .kernelHashes }) {
            throw OVMFError(.noKernelHashesSection, at: image.tableEnd)
        }
        try checkOverlap(image)
        return steps + deferred
    }

    /// The launch update of one section of the metadata.
    private static func step(
        _ section: SEVMetadataSection, _ image: OVMFImage, _ configuration: LaunchConfiguration
    ) throws(OVMFError) -> Step {
        let kind: PageKind
        var contents = Contents.zero
        var isOnePage = false
        switch section.kind {
        case .secMemory: kind = configuration.vmm == .gce ? .unmeasured : .zero
        case .svsmCAA: kind = .zero
        case .secrets: (kind, contents, isOnePage) = (.secrets, .secrets, true)
        case .cpuid: (kind, contents, isOnePage) = (.cpuid, .cpuid, true)
        case .kernelHashes:
            isOnePage = configuration.kernelHashes != nil
            kind = isOnePage ? .normal : .zero
        default: throw OVMFError(.sectionKind(section.kind), at: section.fileOffset + 8)
        }
        guard section.gpa.isAligned(to: .size4K) else {
            throw OVMFError(.sectionUnaligned(section.kind, section.gpa), at: section.fileOffset)
        }
        guard section.byteCount % 4096 == 0, !isOnePage || section.byteCount == 4096 else {
            throw OVMFError(.sectionLength(section.kind, section.byteCount), at: section.fileOffset + 4)
        }
        if section.kind == .kernelHashes, let hashes = configuration.kernelHashes {
            guard let table = image.hashTable, table.rawValue != 0 else {
                throw OVMFError(.noHashTable, at: image.tableEnd)
            }
            guard let page = hashes.page(offset: table.pageOffset) else {
                throw OVMFError(.hashTableDoesNotFit(table), at: image.tableEnd)
            }
            contents = .bytes(page)
        }
        return Step(gfn: section.gpa.frame, pageCount: section.byteCount / 4096, kind: kind, contents: contents)
    }

    /// A page can be launched once only: no two sections, nor a section and the image, may share one.
    private static func checkOverlap(_ image: OVMFImage) throws(OVMFError) {
        var end: UInt64 = 0
        for section in image.sections.filter({ $0.byteCount > 0 }).sorted(by: { $0.gpa < $1.gpa }) {
            let sectionEnd = section.gpa.rawValue + section.byteCount
            guard section.gpa.rawValue >= end, sectionEnd <= image.gpa.rawValue else {
                throw OVMFError(.sectionOverlap(section.kind, section.gpa), at: section.fileOffset)
            }
            end = sectionEnd
        }
    }
}
