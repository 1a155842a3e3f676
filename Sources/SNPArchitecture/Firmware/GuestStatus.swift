// What SNP_GUEST_STATUS reports.

/// The state of a guest as firmware sees it. An open set.
@frozen public struct GuestState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt8
    /// Makes a state from its number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// INIT: the context exists.
    @inlinable public static var initialized: Self { Self(rawValue: 0) }
    /// LAUNCH: pages may be added.
    @inlinable public static var launching: Self { Self(rawValue: 1) }
    /// RUNNING.
    @inlinable public static var running: Self { Self(rawValue: 2) }
    /// The name in the ABI document, or the number.
    public var description: String { rawValue < 3 ? ["INIT", "LAUNCH", "RUNNING"][Int(rawValue)] : String(rawValue) }
}

/// The status of one guest.
///
/// - Spec: FWABI 56860, STRUCT_GUEST_STATUS
public struct GuestStatus: FirmwareLayout, Hashable, Sendable {
    /// 0x20.
    public static let byteCount = 0x20
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("POLICY", at: 0x00, byteCount: 8),
        .integer("ASID", at: 0x08, byteCount: 4),
        .integer("STATE", at: 0x0c, byteCount: 1),
        .reserved(at: 0x0d, byteCount: 3),
        .integer("FLAGS", at: 0x10, byteCount: 4, reserved: 0xffff_fffe),
        .reserved(at: 0x14, byteCount: 12),
    ]
    /// POLICY.
    public var policy: GuestPolicy
    /// ASID: 0 while the guest has none.
    public var asid: ASID
    /// STATE.
    public var state: GuestState
    /// VCEK_DIS, bit 0 of the flags.
    public var vcekIsDisabled: Bool

    /// Makes a status.
    public init(policy: GuestPolicy, asid: ASID, state: GuestState, vcekIsDisabled: Bool) {
        self.policy = policy
        self.asid = asid
        self.state = state
        self.vcekIsDisabled = vcekIsDisabled
    }

    /// Reads a status.
    public init(decoding bytes: [UInt8]) {
        self.init(
            policy: GuestPolicy(rawValue: bytes.integer(at: 0)), asid: ASID(bytes.integer(at: 8)),
            state: GuestState(rawValue: bytes[0xc]), vcekIsDisabled: bytes[0x10] & 1 != 0)
    }

    /// The status as firmware writes it.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(policy.rawValue, at: 0)
        bytes.store(asid.rawValue, at: 8)
        bytes[0xc] = state.rawValue
        bytes[0x10] = vcekIsDisabled ? 1 : 0
        return bytes
    }
}
