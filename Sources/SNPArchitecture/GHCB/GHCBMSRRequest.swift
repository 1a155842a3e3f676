// Requests of the GHCB MSR protocol: what a guest writes to MSR C001_0130 before a VMGEXIT.

/// The information code in bits 11:0 of the GHCB MSR. An open set: requests are even but for 0x0f0x.
///
/// - Spec: GHCB 56421, "GHCB MSR protocol"
@frozen public struct GHCBMSRCode: RawRepresentable, Hashable, Sendable {
    /// The 12 bits.
    public var rawValue: UInt16
    /// Makes a code; only 12 bits count.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue & 0xfff }
    /// The code of an MSR value.
    @inlinable public init(of msr: UInt64) { self.init(rawValue: UInt16(truncatingIfNeeded: msr)) }

    /// The value is a GHCB's address.
    @inlinable public static var page: Self { Self(rawValue: 0x000) }
    /// The answer to `sevInformationRequest`, and the value at reset.
    @inlinable public static var sevInformation: Self { Self(rawValue: 0x001) }
    /// Asks for protocol versions and the C-bit.
    @inlinable public static var sevInformationRequest: Self { Self(rawValue: 0x002) }
    /// Asks for one register of CPUID.
    @inlinable public static var cpuidRequest: Self { Self(rawValue: 0x004) }
    /// The answer to `cpuidRequest`.
    @inlinable public static var cpuid: Self { Self(rawValue: 0x005) }
    /// Asks to wait for a SIPI.
    @inlinable public static var apResetHoldRequest: Self { Self(rawValue: 0x006) }
    /// The answer to `apResetHoldRequest`.
    @inlinable public static var apResetHold: Self { Self(rawValue: 0x007) }
    /// Asks where the host would like the GHCB.
    @inlinable public static var preferredGHCBRequest: Self { Self(rawValue: 0x010) }
    /// The answer to `preferredGHCBRequest`.
    @inlinable public static var preferredGHCB: Self { Self(rawValue: 0x011) }
    /// Asks to register a GHCB.
    @inlinable public static var registerGHCBRequest: Self { Self(rawValue: 0x012) }
    /// The answer to `registerGHCBRequest`.
    @inlinable public static var registerGHCB: Self { Self(rawValue: 0x013) }
    /// Asks for a page to change its state.
    @inlinable public static var pageStateChangeRequest: Self { Self(rawValue: 0x014) }
    /// The answer to `pageStateChangeRequest`.
    @inlinable public static var pageStateChange: Self { Self(rawValue: 0x015) }
    /// Asks to run another VMPL.
    @inlinable public static var runVMPLRequest: Self { Self(rawValue: 0x016) }
    /// The answer to `runVMPLRequest`.
    @inlinable public static var runVMPL: Self { Self(rawValue: 0x017) }
    /// Asks for the host's features.
    @inlinable public static var hypervisorFeaturesRequest: Self { Self(rawValue: 0x080) }
    /// The answer to `hypervisorFeaturesRequest`.
    @inlinable public static var hypervisorFeatures: Self { Self(rawValue: 0x081) }
    /// Asks to be terminated.
    @inlinable public static var terminateRequest: Self { Self(rawValue: 0x100) }
}

/// A register of CPUID's result, with the number that the MSR protocol gives it.
@frozen public enum CPUIDRegister: UInt8, CaseIterable, Sendable {
    /// EAX.
    case eax = 0
    /// EBX.
    case ebx = 1
    /// ECX.
    case ecx = 2
    /// EDX.
    case edx = 3
}

/// A value of the GHCB MSR at a VMGEXIT. Decoding keeps what the code gives a meaning; other bits are dropped.
///
/// - Spec: GHCB 56421, "GHCB MSR protocol"
@frozen public enum GHCBMSRRequest: Hashable, Sendable {
    /// The page protocol: the request is in the page.
    case page(GPA)
    /// 0x002: protocol versions and the C-bit.
    case sevInformation
    /// 0x004: one register of a CPUID function, subfunction 0.
    case cpuid(function: UInt32, register: CPUIDRegister)
    /// 0x006: wait for a SIPI.
    case apResetHold
    /// 0x010: where would the host like the GHCB.
    case preferredGHCB
    /// 0x012: register a GHCB.
    case registerGHCB(GFN)
    /// 0x014: change the state of one 4 KiB page.
    case pageStateChange(GFN, PageStateOperation)
    /// 0x016: run another VMPL.
    case runVMPL(UInt8)
    /// 0x080: the host's features.
    case hypervisorFeatures
    /// 0x100: terminate.
    case terminate(GHCBTermination)
    /// Any other code.
    case unknown(UInt64)

    /// Reads the MSR.
    public init(rawValue raw: UInt64) {
        switch GHCBMSRCode(of: raw) {
        case .page: self = .page(GPA(raw))
        case .sevInformationRequest: self = .sevInformation
        case .cpuidRequest:
            let register: CPUIDRegister =
                switch raw >> 30 & 3 {
                case 0: .eax
                case 1: .ebx
                case 2: .ecx
                default: .edx
                }
            self = .cpuid(function: UInt32(truncatingIfNeeded: raw >> 32), register: register)
        case .apResetHoldRequest: self = .apResetHold
        case .preferredGHCBRequest: self = .preferredGHCB
        case .registerGHCBRequest: self = .registerGHCB(GFN(raw >> 12))
        case .pageStateChangeRequest:
            self = .pageStateChange(
                GFN(raw >> 12 & 0xff_ffff_ffff),
                PageStateOperation(rawValue: UInt8(truncatingIfNeeded: raw >> 52 & 0xf)))
        case .runVMPLRequest: self = .runVMPL(UInt8(truncatingIfNeeded: raw >> 32))
        case .hypervisorFeaturesRequest: self = .hypervisorFeatures
        case .terminateRequest:
            self = .terminate(
                GHCBTermination(
                    reasonSet: UInt8(truncatingIfNeeded: raw >> 12 & 0xf), code: UInt8(truncatingIfNeeded: raw >> 16)))
        default: self = .unknown(raw)
        }
    }

    /// The MSR's value, with zeros where the code gives bits no meaning.
    public var rawValue: UInt64 {
        switch self {
        case .page(let gpa): gpa.rawValue
        case .sevInformation: 0x002
        case .cpuid(let function, let register): UInt64(function) << 32 | UInt64(register.rawValue) << 30 | 0x004
        case .apResetHold: 0x006
        case .preferredGHCB: 0x010
        case .registerGHCB(let gfn): gfn.rawValue << 12 | 0x012
        case .pageStateChange(let gfn, let operation):
            UInt64(operation.rawValue & 0xf) << 52 | (gfn.rawValue & 0xff_ffff_ffff) << 12 | 0x014
        case .runVMPL(let vmpl): UInt64(vmpl) << 32 | 0x016
        case .hypervisorFeatures: 0x080
        case .terminate(let reason): UInt64(reason.code) << 16 | UInt64(reason.reasonSet) << 12 | 0x100
        case .unknown(let raw): raw
        }
    }
}
