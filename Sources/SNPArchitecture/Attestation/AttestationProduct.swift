// The product lines that have a root of trust of their own, and how reports and certificates name them.

/// A product line with its own root of trust. Bergamo and Siena belong to Genoa's.
public enum AttestationProduct: String, CaseIterable, Sendable {
    /// Family 19h, models 00h to 0Fh.
    case milan = "Milan"
    /// Family 19h, models 10h to 1Fh and A0h to AFh.
    case genoa = "Genoa"
    /// Family 1Ah, models 00h to 11h.
    case turin = "Turin"

    /// Finds the line of a processor by its combined family and model.
    public init?(family: Int, model: Int) {
        switch (family, model) {
        case (0x19, 0x00...0x0f): self = .milan
        case (0x19, 0x10...0x1f), (0x19, 0xa0...0xaf): self = .genoa
        case (0x1a, 0x00...0x11): self = .turin
        default: return nil
        }
    }

    /// Finds the line that a certificate names, such as "Milan-B0": the name, alone or followed by a dash or a space.
    ///
    /// - Deviates: that certificates may name Bergamo and Siena, and mean Genoa's line, is unconfirmed
    public init?(certificateName: String) {
        let name = certificateName.prefix { $0 != "-" && $0 != " " }
        switch name {
        case "Milan": self = .milan
        case "Genoa", "Bergamo", "Siena": self = .genoa
        case "Turin": self = .turin
        default: return nil
        }
    }

    /// How the product lays out its TCB versions.
    public var tcbLayout: TCBLayout { self == .turin ? .turin : .milanGenoa }
    /// The number of bytes of CHIP_ID that identify the chip; the rest is zero.
    public var chipIDByteCount: Int { self == .turin ? 8 : 64 }
}

/// The processor that a report of version 3 or later comes from: combined family, combined model, stepping.
public struct ReportedProcessor: Hashable, Sendable {
    /// CPUID_FAM_ID.
    public var family: UInt8
    /// CPUID_MOD_ID.
    public var model: UInt8
    /// CPUID_STEP.
    public var stepping: UInt8
    /// Makes an identity.
    public init(family: UInt8, model: UInt8, stepping: UInt8) {
        self.family = family
        self.model = model
        self.stepping = stepping
    }
    /// The product line, or nil if the sheet knows none with this family and model.
    public var product: AttestationProduct? { AttestationProduct(family: Int(family), model: Int(model)) }
}
