// The words that `rampart measure` accepts as values; they are those of sev-snp-measure.

import SNPArchitecture

/// A kind of guest to measure.
enum MeasureMode: String, CaseIterable {
    case snp
    case imageHash = "snp:ovmf-hash"
    case sev
    case seves
    case svsm = "snp:svsm"

    /// Whether it is modelled.
    var isSupported: Bool { self == .snp || self == .imageHash }

    init(argument: String) throws {
        guard let mode = MeasureMode(rawValue: argument) else {
            throw CommandFailure.usage("the mode is unknown. Use snp or snp:ovmf-hash.")
        }
        self = mode
    }
}

/// How a digest is written.
enum DigestFormat: String, CaseIterable {
    case hex
    case base64

    init(argument: String) throws {
        guard let format = DigestFormat(rawValue: argument) else {
            throw CommandFailure.usage("the format is unknown. Use hex or base64.")
        }
        self = format
    }

    func text(_ digest: [UInt8]) -> String { self == .hex ? hexadecimal(digest) : RampartCLI.base64(digest) }
}

extension VMMType {
    init(argument: String) throws {
        guard let vmm = Self.allCases.first(where: { $0.name.lowercased() == argument.lowercased() }) else {
            throw CommandFailure.usage("the VMM is unknown. Use QEMU, ec2 or gce.")
        }
        self = vmm
    }
}

extension CPUModel {
    init(argument: String) throws {
        guard let model = CPUModel(named: argument) else {
            let names = CPUModel.all.map(\.name).joined(separator: ", ")
            throw CommandFailure.usage("the CPU type is unknown. Use one of \(names), or give --vcpu-sig.")
        }
        self = model
    }
}

extension CPUSignature {
    init(argument: String) throws {
        guard let value = unsignedInteger(argument), let signature = UInt32(exactly: value) else {
            throw CommandFailure.usage("not a 32-bit number. Write CPUID 1 EAX, for example 0xa00f11.")
        }
        self.init(rawValue: signature)
    }
}

extension SEVFeatures {
    init(argument: String) throws {
        guard let value = unsignedInteger(argument) else {
            throw CommandFailure.usage("not a 64-bit number. Write SEV_FEATURES, for example 0x1.")
        }
        self.init(rawValue: value)
    }
}

/// The digest of an image's pages, given beforehand.
struct ImageDigest {
    let bytes: [UInt8]

    init(argument: String) throws {
        guard let bytes = RampartCLI.bytes(hexadecimal: argument), bytes.count == 48 else {
            throw CommandFailure.usage("not 96 hexadecimal digits. Take them from --mode snp:ovmf-hash.")
        }
        self.bytes = bytes
    }
}
