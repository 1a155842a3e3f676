// Answers of the GHCB MSR protocol: what a guest finds in MSR C001_0130 after a VMGEXIT.

/// An answer of the GHCB MSR protocol.
///
/// - Spec: GHCB 56421, "GHCB MSR protocol"
@frozen public enum GHCBMSRResponse: Hashable, Sendable {
    /// 0x001: protocol versions and the position of the C-bit. Also the value at reset.
    case sevInformation(maximum: UInt16, minimum: UInt16, cBit: UInt8)
    /// 0x005: the value of one register.
    case cpuid(UInt32, CPUIDRegister)
    /// 0x007: whether a SIPI ended the wait.
    case apResetHold(woken: Bool)
    /// 0x011: where the host would like the GHCB, or nil for no preference.
    case preferredGHCB(GFN?)
    /// 0x013: the registered frame, or nil for a refusal.
    case registerGHCB(GFN?)
    /// 0x015: 0 for success.
    case pageStateChange(error: UInt32)
    /// 0x017: 0 for success.
    case runVMPL(error: UInt32)
    /// 0x081: the host's features.
    case hypervisorFeatures(HypervisorFeatures)
    /// Any other code: no answer.
    case unknown(UInt64)

    /// The frame number that means none.
    public static let noFrame: UInt64 = 0xf_ffff_ffff_ffff
    /// The error with which KVM refuses a page state change: bit 63 of the MSR.
    public static let genericPageStateChangeError: UInt32 = 1 << 31

    /// Reads the MSR.
    public init(rawValue raw: UInt64) {
        let frame: GFN? = raw >> 12 == Self.noFrame ? nil : GFN(raw >> 12)
        let high = UInt32(truncatingIfNeeded: raw >> 32)
        switch GHCBMSRCode(of: raw) {
        case .sevInformation:
            self = .sevInformation(
                maximum: UInt16(truncatingIfNeeded: raw >> 48), minimum: UInt16(truncatingIfNeeded: raw >> 32),
                cBit: UInt8(truncatingIfNeeded: raw >> 24))
        case .cpuid:
            let register: CPUIDRegister =
                switch raw >> 30 & 3 {
                case 0: .eax
                case 1: .ebx
                case 2: .ecx
                default: .edx
                }
            self = .cpuid(high, register)
        case .apResetHold: self = .apResetHold(woken: raw >> 12 != 0)
        case .preferredGHCB: self = .preferredGHCB(frame)
        case .registerGHCB: self = .registerGHCB(frame)
        case .pageStateChange: self = .pageStateChange(error: high)
        case .runVMPL: self = .runVMPL(error: high)
        case .hypervisorFeatures: self = .hypervisorFeatures(HypervisorFeatures(rawValue: raw >> 12))
        default: self = .unknown(raw)
        }
    }

    /// The MSR's value.
    public var rawValue: UInt64 {
        switch self {
        case .sevInformation(let maximum, let minimum, let cBit):
            UInt64(maximum) << 48 | UInt64(minimum) << 32 | UInt64(cBit) << 24 | 0x001
        case .cpuid(let value, let register): UInt64(value) << 32 | UInt64(register.rawValue) << 30 | 0x005
        case .apResetHold(let woken): (woken ? 1 << 12 : 0) | 0x007
        case .preferredGHCB(let gfn): (gfn?.rawValue ?? Self.noFrame) << 12 | 0x011
        case .registerGHCB(let gfn): (gfn?.rawValue ?? Self.noFrame) << 12 | 0x013
        case .pageStateChange(let error): UInt64(error) << 32 | 0x015
        case .runVMPL(let error): UInt64(error) << 32 | 0x017
        case .hypervisorFeatures(let features): features.rawValue << 12 | 0x081
        case .unknown(let raw): raw
        }
    }
}
