// SNP_GUEST_STATUS: what the host may know of a guest.

internal import SNPArchitecture

extension Firmware {
    /// SNP_GUEST_STATUS: writes 32 bytes of status.
    ///
    /// - Spec: FWABI 56860, SNP_GUEST_STATUS
    /// - Throws: in check order: INVALID_PARAM (reserved bits, status crosses a page), INVALID_PLATFORM_STATE,
    ///   INVALID_GUEST, INVALID_PAGE_STATE (status page neither Firmware nor Default), the address rules of copy-out
    mutating func snpGuestStatus(_ buffer: GuestStatusBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard Self.isWithinPage(buffer.status, byteCount: GuestStatus.byteCount) else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard let guest = guests[pfn] else { throw .invalidGuest }
        try checkWritable(buffer.status)
        let status = GuestStatus(
            policy: guest.policy, asid: guest.asid, state: guest.state, vcekIsDisabled: guest.vcekIsDisabled)
        try copyOut(status.encoded, to: buffer.status)
    }
}
