// SNP_LAUNCH_UPDATE: a page of the host becomes a measured, validated page of the guest.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_LAUNCH_UPDATE: Pre-Guest to Guest-Valid, for one page of 4K or 2M.
    ///
    /// Each 4K page extends the launch digest, then gets its content under the guest's key. The RMP changes last. A CPUID
    /// page that fails its check is written back corrected, in plain; the page stays Pre-Guest and the digest as it was.
    ///
    /// - Spec: FWABI 56860, SNP_LAUNCH_UPDATE
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST, INVALID_PAGE_STATE
    ///   (not Pre-Guest), INVALID_PAGE_SIZE (not PAGE_SIZE), INVALID_ADDRESS (2M unaligned), INVALID_PAGE_SIZE (a type
    ///   that must be 4K), INVALID_PARAM (type), INVALID_GUEST_STATE (not LAUNCH), INACTIVE, INVALID_PAGE_OWNER,
    ///   INVALID_PARAM (not an IMI page of an IMI launch), INVALID_PARAM (CPUID page)
    mutating func snpLaunchUpdate(_ buffer: LaunchUpdateBuffer) throws(FirmwareStatus) {
        let type = buffer.pageType
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let context = try guestFrame(buffer.context)
        // The record is read and written in place: a copy of it for each page of a launch would cost more than its checks.
        guard let index = guests.index(forKey: context) else { throw .invalidGuest }
        guard var entry = try entry(at: buffer.page), entry.state == .preGuest else { throw .invalidPageState }
        guard entry.pageSize == buffer.pageSize else { throw .invalidPageSize }
        let head = frame(of: buffer.page)
        guard head.isAligned(to: entry.pageSize) else { throw .invalidAddress }
        guard entry.pageSize == .size4K || !Self.mustBe4K.contains(type) else { throw .invalidPageSize }
        guard PageType.allCases.contains(type) else { throw .invalidParam }
        guard guests.values[index].state == .launching else { throw .invalidGuestState }
        guard let key = guests.values[index].keyID, guests.values[index].activation != .inactive else {
            throw .inactive
        }
        guard entry.asid == guests.values[index].asid else { throw .invalidPageOwner }
        guard !guests.values[index].initialMigrationImage || buffer.isInitialMigrationImagePage else {
            throw .invalidParam
        }

        if type == .cpuid { try checkCPUIDPage(head) }
        var permissions = entry.permissions
        for vmpl in [VMPL.vmpl1, .vmpl2, .vmpl3] { permissions[vmpl] = buffer[vmpl] }
        var launchDigest = guests.values[index].launchDigest
        var imageDigest = guests.values[index].imageDigest
        for page in 0..<entry.pageSize.pageCount {
            let description = LaunchDigest.Page(
                type: type, isInitialMigrationImagePage: buffer.isInitialMigrationImagePage, permissions: permissions,
                gpa: (entry.gfn + page).address)
            if Self.keepsContent.contains(type) { bringToPlain(head + page) }
            let contents = contents(of: head + page, type: type)
            if remembersMeasuredPages {
                guests.values[index].measuredPages.append(description.info(after: launchDigest, contents: contents))
            }
            launchDigest.extend(description, contents: contents)
            if description.isInitialMigrationImagePage { imageDigest.extend(description, contents: contents) }
            install(head + page, type: type, guest: index, key: key)
        }
        guests.values[index].launchDigest = launchDigest
        guests.values[index].imageDigest = imageDigest

        entry.permissions = permissions
        entry.vmsa = type == .vmsa
        entry.validated = true
        entry.immutable = false
        rmp.firmwareWrite(head, entry)
    }

    /// The types that cannot be loaded as a 2M page.
    private static let mustBe4K: [PageType] = [.vmsa, .secrets, .cpuid]
    /// The types for which the guest finds what the host wrote.
    private static let keepsContent: [PageType] = [.normal, .vmsa, .unmeasured, .cpuid]
}
