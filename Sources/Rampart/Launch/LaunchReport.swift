// What `rampart launch` is asked and what it answers.

public import SNPArchitecture

/// A launch of a guest.
public struct LaunchRequest: Hashable, Sendable {
    /// The firmware image; nil for the bundled one.
    public var imagePath: String?
    /// The guest's memory.
    public var memory: ByteSize
    /// The number of virtual CPUs.
    public var vcpuCount: Int
    /// How conversions change the RMP.
    public var policy: PolicyName
    /// What the guest's owner asks of firmware.
    public var owner: OwnerRequest

    /// Makes a request.
    public init(
        imagePath: String?, memory: ByteSize, vcpuCount: Int, policy: PolicyName, owner: OwnerRequest = OwnerRequest()
    ) {
        self.imagePath = imagePath
        self.memory = memory
        self.vcpuCount = vcpuCount
        self.policy = policy
        self.owner = owner
    }
}

/// What a launch did.
public struct LaunchReport: Hashable, Sendable {
    /// The request.
    public var request: LaunchRequest
    /// The launch digest, 48 bytes.
    public var digest: [UInt8]
    /// The guest's address-space identifier.
    public var asid: ASID
    /// The pages by state after the launch.
    public var pages: [PageTally]
    /// What the host did.
    public var counts: OperationCounts
    /// The number of firmware commands.
    public var firmwareCommandCount: UInt64
    /// The wall-clock time.
    public var duration: Duration
    /// Broken invariants, in words. Empty is good.
    public var violations: [String]

    /// Makes a report.
    public init(
        request: LaunchRequest, digest: [UInt8], asid: ASID, pages: [PageTally], counts: OperationCounts,
        firmwareCommandCount: UInt64, duration: Duration, violations: [String]
    ) {
        self.request = request
        self.digest = digest
        self.asid = asid
        self.pages = pages
        self.counts = counts
        self.firmwareCommandCount = firmwareCommandCount
        self.duration = duration
        self.violations = violations
    }
}
