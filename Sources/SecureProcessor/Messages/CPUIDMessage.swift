// MSG_CPUID_REQ: a guest asks firmware whether CPUID values may be true.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// Checks a table of CPUID functions by the rules of the CPUID page, and returns it corrected.
    ///
    /// - Spec: FWABI 56860, MSG_CPUID_REQ, MSG_CPUID_RSP
    /// - Throws: INVALID_PARAM: reserved fields, more than 64 functions or more than the message holds. Functions that break
    ///   a rule give the same status together with the corrected table
    /// - Deviates: that a count beyond the message's size is refused is unconfirmed
    func answerCPUID(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let header = message.prefix(0x10)
        let count: UInt32 = header.integer(at: 0)
        guard header.integer(at: 4) as UInt32 == 0, header.integer(at: 8) as UInt64 == 0 else { throw .invalidParam }
        guard count <= CPUIDPage.maximumCount else { throw .invalidParam }
        guard 0x10 + Int(count) * CPUIDFunction.byteCount <= message.payload.count else { throw .invalidParam }
        var response = message.payload
        var isGood = true
        for index in 0..<Int(count) {
            let offset = 0x10 + index * CPUIDFunction.byteCount
            let function = CPUIDFunction(
                decoding: message.payload.field(at: offset, byteCount: CPUIDFunction.byteCount))
            guard function.reserved == 0 else {
                isGood = false
                continue
            }
            let result = CPUIDRules.genoa.corrected(function, signature: machine.product.signature)
            if result != function { isGood = false }
            response.store(result.encoded, at: offset, limit: CPUIDFunction.byteCount)
        }
        let status: FirmwareStatus = isGood ? .success : .invalidParam
        response.store(UInt32(status.rawValue), at: 0)
        response.store(count, at: 4)
        return response
    }
}
