// SNP_LAUNCH_FINISH: the image is complete; check what its owner vouches for and let the guest run.

internal import SNPArchitecture

extension Firmware {
    /// SNP_LAUNCH_FINISH: guest state LAUNCH to RUNNING, pending to active.
    ///
    /// - Spec: FWABI 56860, SNP_LAUNCH_FINISH
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST,
    ///   INVALID_GUEST_STATE (not LAUNCH, or the launch of a migration image), INACTIVE, then what `checkIDBlock` throws
    mutating func snpLaunchFinish(_ buffer: LaunchFinishBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard var guest = guests[pfn] else { throw .invalidGuest }
        guard guest.state == .launching, !guest.initialMigrationImage else { throw .invalidGuestState }
        guard guest.activation != .inactive else { throw .inactive }
        if buffer.idBlockIsEnabled {
            let idBlock = try read(IDBlock.self, at: buffer.idBlock)
            let authentication = try read(IDAuthentication.self, at: buffer.idAuthentication)
            let digests = try IDBlockCheck.check(
                idBlock, authentication, authorIsEnabled: buffer.authorKeyIsEnabled,
                launchDigest: guest.launchDigest.bytes, policy: guest.policy)
            guest.idBlock = idBlock
            guest.idKeyDigest = digests.idKey
            guest.authorKeyDigest = digests.authorKey
        }
        guest.authorKeyIsEnabled = buffer.authorKeyIsEnabled
        guest.vcekIsDisabled = buffer.vcekIsDisabled
        guest.hostData = buffer.hostData
        guest.state = .running
        guest.activation = .active
        asids.activate(guest.asid)
        guests[pfn] = guest
    }
}
