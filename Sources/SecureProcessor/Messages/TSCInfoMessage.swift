// MSG_TSC_INFO_REQ: how a guest turns TSC counts into time, for virtual CPUs that it makes itself.

internal import SNPArchitecture

extension Firmware {
    /// Returns scale, offset and tolerance of the guest's TSC.
    ///
    /// - Spec: FWABI 56860, MSG_TSC_INFO_REQ, MSG_TSC_INFO_RSP
    /// - Throws: INVALID_PARAM (reserved bytes)
    func answerTSCInfo(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        guard message.prefix(0x80).allSatisfy({ $0 == 0 }) else { throw .invalidParam }
        guard let guest = guests[message.context] else { throw .invalidGuest }
        var response = [UInt8](repeating: 0, count: 0x80)
        response.store(TSC.scale(desiredKilohertz: guest.desiredTSCKilohertz), at: 0x08)
        response.store(UInt64(0), at: 0x10)
        response.store(TSC.factor, at: 0x18)
        return response
    }
}
