// What a firmware image asks the VMM to prepare in guest memory before it runs.

public import SNPArchitecture

/// A range of guest memory that a firmware image wants prepared.
///
/// - Spec: OVMF SEV metadata, version 1
public struct SEVMetadataSection: Hashable, Sendable {
    /// What a section is for. An open set: a newer firmware may ask for more.
    public struct Kind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The number in the metadata.
        public var rawValue: UInt32
        /// Makes a kind from its number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Memory that early firmware needs: validated, zero.
        public static let secMemory = Kind(rawValue: 1)
        /// The secrets page.
        public static let secrets = Kind(rawValue: 2)
        /// The CPUID page.
        public static let cpuid = Kind(rawValue: 3)
        /// The calling area for an SVSM.
        public static let svsmCAA = Kind(rawValue: 4)
        /// The page with the kernel's hashes.
        public static let kernelHashes = Kind(rawValue: 0x10)

        /// The name in OVMF's sources, or the number.
        public var description: String {
            switch self {
            case .secMemory: "SNP_SEC_MEM"
            case .secrets: "SNP_SECRETS"
            case .cpuid: "CPUID"
            case .svsmCAA: "SVSM_CAA"
            case .kernelHashes: "SNP_KERNEL_HASHES"
            default: "type 0x" + String(rawValue, radix: 16)
            }
        }
    }

    /// The first byte of the range.
    public var gpa: GPA
    /// The length in bytes.
    public var byteCount: UInt64
    /// What it is for.
    public var kind: Kind
    /// Where in the file the section stands.
    public var fileOffset: Int

    /// Makes a section.
    public init(gpa: GPA, byteCount: UInt64, kind: Kind, fileOffset: Int = 0) {
        self.gpa = gpa
        self.byteCount = byteCount
        self.kind = kind
        self.fileOffset = fileOffset
    }
}
