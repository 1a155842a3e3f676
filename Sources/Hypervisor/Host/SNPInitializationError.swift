// Why SNP stays off, and what each reason is as an errno.

public import Machine
internal import SNPArchitecture

/// Why SNP could not be turned on.
public enum SNPInitializationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// CPUID does not tell of SEV-SNP.
    case noFeature
    /// The RMP that BIOS left.
    case rmp(RMPProbeFailure)
    /// The IOMMUs cannot check the RMP, or are used in a mode in which they do not.
    case iommu(IOMMUKind, IOMMUMode)
    /// Some cores that are there are not online, and would come without SNP.
    case coresOffline(Int)
    /// Firmware knows no SNP, or too old a form of it.
    case firmwareTooOld(major: UInt8, minor: UInt8)
    /// More reserved ranges than a list holds.
    case tooManyRanges(Int)
    /// No memory for the list, or for the direct map's tables.
    case noMemory
    /// Firmware refused.
    case firmware(FirmwareError)

    /// The errno of the call.
    public var errno: Errno {
        switch self {
        case .noFeature: .noDevice
        case .rmp, .iommu: .notImplemented
        case .coresOffline, .firmwareTooOld: .notSupported
        case .tooManyRanges: .argumentsTooLong
        case .noMemory: .noMemory
        case .firmware(let error): error.errno
        }
    }

    /// What is wrong, in words.
    public var description: String {
        switch self {
        case .noFeature: "the processor has no SEV-SNP"
        case .rmp(let failure): failure.description
        case .iommu(let kind, let mode): "SNP needs IOMMUs that check the RMP: found \(kind), used \(mode)"
        case .coresOffline(let count): "\(count) cores are not online"
        case .firmwareTooOld(let major, let minor): "firmware \(major).\(minor) is too old: SNP needs 1.51"
        case .tooManyRanges(let count): "\(count) reserved ranges do not fit into a list of \(RangeList.maximumCount)"
        case .noMemory: "no memory is left"
        case .firmware(let error): "firmware: \(error)"
        }
    }
}

extension FirmwareError {
    /// What a caller of the driver gets: EIO with the status, ETIMEDOUT the first time that firmware
    /// does not answer and EBUSY from then on, ENOMEM, EFAULT for a page.
    ///
    /// - Spec: Linux: `sev_do_cmd()`
    public var errno: Errno {
        switch self {
        case .status: .ioError
        case .dead: .busy
        case .noMemory: .noMemory
        case .timedOut: .timedOut
        case .pageState, .notReclaimed: .badAddress
        }
    }
}
