// What a guest's owner asks of firmware at launch, besides the guest's contents.

internal import Hypervisor
public import SNPArchitecture

/// What a guest's owner asks of firmware.
public struct OwnerRequest: Hashable, Sendable {
    /// The guest's policy.
    public var policy = GuestPolicy.standard
    /// The ID block and its authentication, which firmware verifies, or none.
    public var identity: GuestIdentity?
    /// 32 bytes of the host for the guest's reports, or none.
    public var hostData: [UInt8] = []
    /// The guest may not have reports signed by the VCEK.
    public var vcekIsDisabled = false

    /// Makes a request of the standard policy and nothing else.
    public init() {}

    var finishRequest: LaunchFinishRequest {
        var request = LaunchFinishRequest()
        request.idBlock = identity?.block
        request.idAuthentication = identity?.authentication
        request.authorKeyIsEnabled = identity?.hasAuthor ?? false
        request.hostData = hostData
        request.vcekIsDisabled = vcekIsDisabled
        return request
    }
}

/// An ID block and its authentication as bytes, good or bad: firmware judges them.
public struct GuestIdentity: Hashable, Sendable {
    /// The ID block, 96 bytes.
    public var block: [UInt8]
    /// The ID authentication structure, 4096 bytes.
    public var authentication: [UInt8]

    /// Makes an identity.
    public init(block: [UInt8], authentication: [UInt8]) {
        self.block = block
        self.authentication = authentication
    }

    /// Whether an author key vouches for the ID key: AUTH_KEY_ALGO is not zero.
    var hasAuthor: Bool { authentication.dropFirst(4).prefix(4).contains { $0 != 0 } }
}
