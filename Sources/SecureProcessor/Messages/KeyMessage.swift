// MSG_KEY_REQ: a key that only this guest on this platform can get again.

internal import SNPArchitecture

/// The request.
///
/// - Spec: FWABI 56860, MSG_KEY_REQ
/// - Deviates: that version 2 ends with the vector, and that the vector follows the context, is unconfirmed
struct KeyRequest {
    /// GUEST_FIELD_SELECT: what of the guest goes into the key.
    struct Fields: OptionSet {
        var rawValue: UInt64
        static let policy = Self(rawValue: 1 << 0)
        static let imageID = Self(rawValue: 1 << 1)
        static let familyID = Self(rawValue: 1 << 2)
        static let measurement = Self(rawValue: 1 << 3)
        static let guestSVN = Self(rawValue: 1 << 4)
        static let tcb = Self(rawValue: 1 << 5)
        /// Version 2 only.
        static let launchMitigations = Self(rawValue: 1 << 6)
        static let known = Self(rawValue: 0x3f)
    }

    static let byteCount = 0x28
    var flags: UInt32
    var reserved: UInt32
    var fields: Fields
    var vmpl: UInt32
    var guestSVN: UInt32
    var tcb: TCBVersion
    /// LAUNCH_MIT_VECTOR, version 2 only.
    var launchMitigations: UInt64

    init(decoding bytes: [UInt8]) {
        flags = bytes.integer(at: 0)
        reserved = bytes.integer(at: 4)
        fields = Fields(rawValue: bytes.integer(at: 8))
        vmpl = bytes.integer(at: 0x10)
        guestSVN = bytes.integer(at: 0x14)
        tcb = TCBVersion(rawValue: bytes.integer(at: 0x18))
        launchMitigations = bytes.count >= Self.byteCount ? bytes.integer(at: 0x20) : 0
    }

    /// ROOT_KEY_SELECT: the VMRK, not an endorsement key.
    var usesVMRK: Bool { flags & 1 != 0 }
    /// KEY_SEL.
    var selection: UInt32 { flags >> 1 & 3 }
    /// What must be zero.
    var reservedIsZero: Bool { flags & ~7 == 0 && reserved == 0 }
}

extension Firmware {
    /// Derives a key for a guest.
    ///
    /// - Spec: FWABI 56860, MSG_KEY_REQ, MSG_KEY_RSP
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_KEY (MASK_CHIP_KEY, KEY_SEL; not for the VMRK),
    ///   INVALID_PARAM (VMPL below the VMPCK's, unknown fields, a TCB component above the committed one or reserved,
    ///   SVN above the ID block's, mitigations that were not verified at the launch)
    mutating func answerKey(_ message: GuestMessage) throws(FirmwareStatus) -> [UInt8] {
        let request = KeyRequest(decoding: message.prefix(KeyRequest.byteCount))
        guard let guest = guests[message.context] else { throw .invalidGuest }
        guard request.reservedIsZero else { throw .invalidParam }
        var selection = KeySelection.vlekOrVCEK
        if !request.usesVMRK {
            guard !maskChipKey else { throw .invalidKey }
            selection = try keySelection(request.selection, for: guest)
        }
        guard request.vmpl >= UInt32(message.vmpck) else { throw .invalidParam }
        let known: KeyRequest.Fields = message.version >= 2 ? [.known, .launchMitigations] : .known
        guard request.fields.isSubset(of: known) else { throw .invalidParam }
        if request.fields.contains(.tcb) {
            guard isAtMostCommitted(request.tcb) else { throw .invalidParam }
        }
        if request.fields.contains(.guestSVN) {
            guard request.guestSVN <= guest.idBlock?.guestSVN ?? 0 else { throw .invalidParam }
        }
        if request.fields.contains(.launchMitigations) {
            guard request.launchMitigations & ~guest.launchMitigations == 0 else { throw .invalidParam }
        }
        let root = request.usesVMRK ? guest.vmrk : endorsementHash(selection, request)
        let key = KeyDerivation.derive(root, label: "gmsg-keyreq", context: Self.keyContext(request, guest))
        return [UInt8](repeating: 0, count: 0x20) + key
    }

    /// Whether no component is above the committed one, and nothing else is in the version.
    private func isAtMostCommitted(_ tcb: TCBVersion) -> Bool {
        guard tcb.rawValue & TCBVersion.reserved(tcbLayout) == 0 else { return false }
        return (0..<8 as Range<UInt64>).allSatisfy {
            tcb.rawValue >> (8 * $0) & 0xff <= committedTCB.rawValue >> (8 * $0) & 0xff
        }
    }

    /// The 48 bytes of the VLEK, or of the VCEK at the reported TCB or the one that the guest asks for.
    private mutating func endorsementHash(_ selection: KeySelection, _ request: KeyRequest) -> [UInt8] {
        if selection != .vcek, let vlek { return vlek.key.hash }
        return request.fields.contains(.tcb) ? chip.sticks(request.tcb)[7] : vcek().hash
    }

    /// What the key depends on besides its root.
    static func keyContext(_ request: KeyRequest, _ guest: GuestRecord) -> [UInt8] {
        let fields = request.fields
        let identity: UInt32 = guest.authorKeyIsEnabled ? 2 : guest.idBlock != nil ? 1 : 0
        var bytes = [UInt8](repeating: 0, count: 0xa8)
        bytes.store((request.usesVMRK ? 1 : 0) | identity << 1, at: 0x00)
        bytes.store(fields.rawValue, at: 0x08)
        bytes.store(request.vmpl, at: 0x10)
        if fields.contains(.guestSVN) { bytes.store(request.guestSVN, at: 0x14) }
        if fields.contains(.tcb) { bytes.store(request.tcb.rawValue, at: 0x18) }
        if fields.contains(.policy) { bytes.store(guest.policy.rawValue, at: 0x20) }
        if fields.contains(.imageID) { bytes.store(guest.idBlock?.imageID ?? [], at: 0x28, limit: 16) }
        if fields.contains(.familyID) { bytes.store(guest.idBlock?.familyID ?? [], at: 0x38, limit: 16) }
        if fields.contains(.measurement) { bytes.store(guest.launchDigest.bytes, at: 0x48, limit: 32) }
        bytes.store(guest.hostData, at: 0x68, limit: 32)
        if identity > 0 {
            bytes.store(identity == 2 ? guest.authorKeyDigest : guest.idKeyDigest, at: 0x88, limit: 32)
        }
        if fields.contains(.launchMitigations) {
            bytes += [UInt8](repeating: 0, count: 8)
            bytes.store(request.launchMitigations, at: 0xa8)
        }
        return bytes
    }
}
