// SNP_LAUNCH_START: a guest context gets its policy and its keys.

internal import SNPArchitecture

extension Firmware {
    /// SNP_LAUNCH_START: guest state INIT to LAUNCH.
    ///
    /// - Spec: FWABI 56860, SNP_LAUNCH_START
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST,
    ///   INVALID_GUEST_STATE (not INIT), INVALID_GUEST (migration agent is no context), POLICY_FAILURE
    mutating func snpLaunchStart(_ buffer: LaunchStartBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard var guest = guests[pfn], guest.state == .initialized else { throw .invalidGuestState }
        let agent = buffer.migrationAgentIsEnabled ? try guestFrame(buffer.migrationAgentContext) : nil
        try checkPolicy(buffer.policy, agent: agent)
        guest.policy = buffer.policy
        guest.initialMigrationImage = buffer.initialMigrationImage
        guest.gosvw = buffer.gosvw
        guest.desiredTSCKilohertz = buffer.desiredTSCKilohertz
        guest.oek = random(32)
        guest.vmpck = (0..<4).map { _ in random(32) }
        guest.vmrk = random(32)
        guest.reportID = random(32)
        guest.migrationAgent = agent
        if let agent, let identifier = guests[agent]?.reportID { guest.migrationAgentReportID = identifier }
        guest.state = .launching
        guests[pfn] = guest
        guestCount += 1
    }

    /// Checks a policy against the platform and the migration agent.
    ///
    /// - Throws: POLICY_FAILURE
    /// - Deviates: memory is encrypted with AES-128, so that MEM_AES_256_XTS is refused; the machine has no CXL memory, so
    ///   that CXL_ALLOW changes nothing. Where the newer bits stand in the order is unconfirmed
    private func checkPolicy(_ policy: GuestPolicy, agent: PFN?) throws(FirmwareStatus) {
        guard agent == nil || policy.contains(.migrationAgentAllowed) else { throw .policyFailure }
        guard agent.flatMap({ guests[$0]?.migrationAgent }) == nil else { throw .policyFailure }
        guard policy.contains(.mustBeOne) else { throw .policyFailure }
        guard policy.contains(.smtAllowed) || !configuration.smtIsEnabled else { throw .policyFailure }
        guard policy.abiMajor <= version.major else { throw .policyFailure }
        guard policy.abiMajor < version.major || policy.abiMinor <= version.minor else { throw .policyFailure }
        guard policy.isDisjoint(with: reservedPolicy) else { throw .policyFailure }
        guard !policy.contains(.memoryAES256XTS) else { throw .policyFailure }
        guard !policy.contains(.raplDisabled) || options.raplIsDisabled else { throw .policyFailure }
        guard !policy.contains(.ciphertextHiding) || options.ciphertextIsHidden else { throw .policyFailure }
        if let agent, policy.contains(.singleSocket) {
            guard guests[agent]?.policy.contains(.singleSocket) == true else { throw .policyFailure }
        }
    }
}
