// SNP_DECOMMISSION: the end of a guest.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_DECOMMISSION: takes the guest's ASID and key away and turns its context page into a Firmware page.
    ///
    /// - Spec: FWABI 56860, SNP_DECOMMISSION
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_GUEST
    mutating func snpDecommission(_ buffer: DecommissionBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let pfn = try guestFrame(buffer.context)
        guard let guest = guests.removeValue(forKey: pfn) else { throw .invalidGuest }
        if guest.activation != .inactive {
            asids.deactivate(guest.asid)
            memory.encryption.removeKey(of: guest.asid)
            cores.updateAll { $0.writtenBack = false }
        }
        if guest.state != .initialized, guestCount > 0 { guestCount -= 1 }
        memory.zero(pfn, key: contextKey)
        rmp.firmwareWrite(pfn, RMPEntry(assigned: true, immutable: true))
    }
}
