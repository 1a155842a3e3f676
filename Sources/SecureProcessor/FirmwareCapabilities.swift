// What firmware of a version can do: the features it reports, and the bits that it takes for reserved without them.

internal import Machine
internal import SNPArchitecture

/// What SNP_INIT_EX was asked for besides the RMP.
struct InitOptions: Hashable {
    /// RAPL_DIS.
    var raplIsDisabled = false
    /// CIPHERTEXT_HIDING_EN.
    var ciphertextIsHidden = false
    /// MAX_SNP_ASID; nil without hidden ciphertext.
    var maximumSNPASID: UInt32?

    init() {}

    init(_ buffer: InitExBuffer) {
        raplIsDisabled = buffer.raplIsDisabled
        ciphertextIsHidden = buffer.ciphertextIsHidden
        maximumSNPASID = buffer.ciphertextIsHidden ? UInt32(buffer.maximumSNPASID) : nil
    }
}

extension Firmware {
    /// What this version can do on this product.
    ///
    /// - Deviates: which version starts what is unconfirmed: 1.56 RAPL_DIS and the policy bits for AES-256-XTS and CXL,
    ///   1.57 ciphertext hiding (on Turin) and the alias check, 1.58 mitigations and PAGE_SWAP_DISABLE; versions 1.51
    ///   to 1.55 count as one
    var features: FirmwareFeatures {
        var features: FirmwareFeatures = [.vlek]
        if configuration.supportsX86Shutdown { features.insert(.x86Shutdown) }
        if isAtLeast(56) { features.formUnion([.raplDisable, .memoryAES256XTS, .cxlAllow]) }
        if isAtLeast(57), machine.product == .turin { features.insert(.ciphertextHiding) }
        if isAtLeast(58) { features.insert(.verifyMitigation) }
        return features
    }

    /// The bits of a guest policy that this version takes for reserved.
    var reservedPolicy: GuestPolicy {
        var reserved = GuestPolicy.reserved
        if !features.contains(.cxlAllow) { reserved.insert(.cxlAllowed) }
        if !features.contains(.memoryAES256XTS) { reserved.insert(.memoryAES256XTS) }
        if !features.contains(.raplDisable) { reserved.insert(.raplDisabled) }
        if !features.contains(.ciphertextHiding) { reserved.insert(.ciphertextHiding) }
        if !isAtLeast(58) { reserved.insert(.pageSwapDisabled) }
        return reserved
    }

    /// The bits of SNP_INIT_EX that this version takes for reserved besides those that always are.
    var reservedInitBits: CommandBytes {
        var reserved = CommandBytes()
        func reserve(_ bits: CommandBytes) {
            for index in 0..<8 { reserved.words[index] |= bits.words[index] }
        }
        if !features.contains(.raplDisable) { reserve(InitExBuffer.raplDisableBits) }
        if !features.contains(.ciphertextHiding) { reserve(InitExBuffer.ciphertextHidingBits) }
        return reserved
    }

    /// ALIAS_CHECK_COMPLETE: no two addresses reach the same DRAM.
    ///
    /// - Deviates: the machine's DRAM has no aliases, so that the check is complete whenever this version knows it
    var aliasCheckIsComplete: Bool { isAtLeast(57) }

    /// The first ASID that SNP guests cannot have.
    var firstOtherASID: UInt32 { min(machine.minimumSEVASID, options.maximumSNPASID.map { $0 + 1 } ?? .max) }

    private func isAtLeast(_ minor: UInt8) -> Bool { version >= FirmwareVersion(major: 1, minor: minor, build: 0) }
}
